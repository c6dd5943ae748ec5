/// Describes the model, its factors and its corpus.
public protocol ModelDescribing: Sendable {
    func describe() throws -> ModelSummary

    /// Measures the work that has been done so far, for monitoring. Takes little time.
    func measurements() throws -> EngineMeasurements
}

/// The loaded model, its factors and its corpus.
public struct ModelSummary: Sendable, Equatable, Codable {
    public var name: String
    public var architecture: String
    public var parameters: Int
    public var contextLength: Int
    public var vocabulary: Int
    public var digest: String
    public var trackedLayers: [Layer]
    public var factors: Factors
    public var corpus: Statistics
    /// The gradient index, if there is one.
    public var index: Index?
    /// Whether the model comes with a chat template.
    public var chatTemplate: Bool?

    public struct Layer: Sendable, Equatable, Codable {
        public var name: String
        /// Inputs, plus one if the layer has a bias.
        public var inputs: Int
        public var outputs: Int
    }

    public struct Factors: Sendable, Equatable, Codable {
        /// "sampled" or "empirical".
        public var fisher: String
        public var sequences: Int
        public var tokens: Int?
        public var seed: UInt64?
        public var bytes: Int
        /// The tracked layers that no gradient of the fit reached, through which nothing has influence.
        public var layersWithoutCurvature: [String] = []
        /// What makes scores with these factors doubtful, in sentences.
        public var warnings: [String] = []

        enum CodingKeys: String, CodingKey {
            case fisher, sequences, tokens, seed, bytes
            case layersWithoutCurvature = "layers_without_curvature"
            case warnings
        }
    }

    public struct Index: Sendable, Equatable, Codable {
        /// Sequences of the corpus that are indexed. The others are indexed when the index is next used.
        public var sequences: Int
        /// As in ``SketchLayout``.
        public var leading: Int
        public var signs: Int
        public var bytes: Int
    }

    public struct Statistics: Sendable, Equatable, Codable {
        public var documents: Int
        public var sequences: Int
        public var tokens: Int
        public var duplicates: Int
    }

    enum CodingKeys: String, CodingKey {
        case name, architecture, parameters
        case contextLength = "context_length"
        case vocabulary, digest
        case trackedLayers = "tracked_layers"
        case factors, corpus, index
        case chatTemplate = "chat_template"
    }
}

/// The work that an engine has done since it was made, and the data that it holds.
public struct EngineMeasurements: Sendable, Equatable {
    /// The sequences that were scored, and their tokens. A sequence counts each time that it is scored.
    public var sweptSequences: Int
    public var sweptTokens: Int
    /// The memory that the factors take.
    public var factorBytes: Int
    public var corpus: ModelSummary.Statistics
}
