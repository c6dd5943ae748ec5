import Corpus
import JSON
import Limits

/// What answers influence queries: the engine, or a stand-in for it in tests.
public protocol InfluenceAnswering: Sendable {
    /// Checks, without computing gradients, that a query can be answered.
    ///
    /// - Throws: ``QueryError`` that names the field at fault.
    func validate(_ query: InfluenceQuery) throws

    /// Answers queries together: one sweep over the union of their candidates.
    ///
    /// Blocks the calling thread; its workers run on Dispatch.
    ///
    /// - Parameters:
    ///   - queries: At least one.
    ///   - control: What is reported and asked on the way. A sweep goes on without a query that is cancelled from the next
    ///     micro-batch, and ends when none is left.
    /// - Returns: One result a query, in order. A query that fails does not fail the others.
    func answer(_ queries: [InfluenceQuery], control: BatchControl) -> [Result<InfluenceResult, QueryError>]

    /// Samples a completion from the model. Blocks the calling thread.
    ///
    /// - Parameter control: Looked at before each token, and now and then while the prompt is read.
    /// - Throws: ``QueryError``; ``QueryError/cancelled`` where `control` says so.
    func complete(_ request: CompletionRequest, control: CompletionControl) throws -> CompletionResult

    /// Finds sequences by TF-IDF alone.
    func search(_ text: String, limit: Int) throws -> [SearchHit]

    /// One sequence of the corpus, by its id.
    ///
    /// - Returns: `nil` if there is none of that id.
    func sequence(_ id: String) throws -> SequenceDescription?

    /// Sequences in the order in which they were added.
    ///
    /// - Parameters:
    ///   - rowid: The ``SequencePage/next`` of the page before; 0 for the first.
    ///   - source: If given, only sequences of this source.
    func sequences(after rowid: Int64, source: String?, limit: Int) throws -> SequencePage

    /// Adds training sequences to the corpus: all of an upload, or nothing. They are on disk when this returns, and whatever
    /// looks at the corpus afterwards sees them; queries under way go on with the sequences that they have.
    ///
    /// - Throws: ``IngestionError``.
    func ingest(_ upload: SequenceUpload) throws -> IngestionSummary

    /// The model, its factors and its corpus.
    func describe() throws -> ModelSummary

    /// What has been done so far, for monitoring. Takes little time.
    func measurements() throws -> EngineMeasurements
}

extension InfluenceAnswering {
    /// Answers queries together, and reports the progress.
    public func answer(
        _ queries: [InfluenceQuery], progress: @escaping @Sendable (InfluenceProgress) -> Void,
        isCancelled: @escaping @Sendable (_ query: Int) -> Bool
    ) -> [Result<InfluenceResult, QueryError>] {
        answer(queries, control: BatchControl(progress: progress, isCancelled: isCancelled))
    }
}

/// How far a batch of queries has come.
public struct InfluenceProgress: Sendable, Equatable {
    public enum Stage: String, Sendable, Codable, CaseIterable {
        case gradients, candidates, sweep, rescore
    }

    public var stage: Stage
    public var done: Int
    public var total: Int

    public init(stage: Stage, done: Int, total: Int) {
        self.stage = stage
        self.done = done
        self.total = total
    }
}

/// Why a query cannot be answered.
public enum QueryError: Error, Equatable, CustomStringConvertible {
    /// A field's value cannot be used; `field` is its path in the request.
    case unusable(field: String, reason: String)
    case cancelled
    /// Something on our side failed.
    case failed(reason: String)

    public var description: String {
        switch self {
        case .unusable(let field, let reason): "\(field): \(reason)"
        case .cancelled: "the query was cancelled"
        case .failed(let reason): reason
        }
    }
}

/// Asks the model for a continuation.
public struct CompletionRequest: Sendable, Equatable, Codable {
    public var prompt: String
    public var maximumTokens: Int
    /// 0 takes the likeliest token at each step.
    public var temperature: Double
    /// The same seed gives the same completion.
    public var seed: UInt64

    /// What the members are allowed to be.
    public enum Limits {
        public static let prompt = InfluenceQuery.Limits.text
        public static let maximumTokens = 1...4_096
        /// Far below the upper end, all tokens are as likely as each other.
        public static let temperature = NumberLimit.from(0, to: 100)
        public static let seed = InfluenceQuery.Limits.seed
    }

    public init(prompt: String, maximumTokens: Int = 32, temperature: Double = 0, seed: UInt64 = 0) {
        self.prompt = prompt
        self.maximumTokens = maximumTokens
        self.temperature = temperature
        self.seed = seed
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case prompt
        case maximumTokens = "max_tokens"
        case temperature, seed
    }

    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        prompt = try container.decode(.prompt, within: Limits.prompt)
        maximumTokens = try container.decodeIfPresent(.maximumTokens, within: Limits.maximumTokens) ?? 32
        temperature = try container.decodeIfPresent(.temperature, within: Limits.temperature) ?? 0
        seed = try container.decodeIfPresent(.seed, within: Limits.seed) ?? 0
    }
}

/// What ends a completion before it is as long as was asked for.
public struct CompletionControl: Sendable {
    /// When what there is by then is the completion; `nil` for never.
    public var deadline: ContinuousClock.Instant?
    /// Whether nobody waits for it any more.
    public var isCancelled: @Sendable () -> Bool

    public init(
        deadline: ContinuousClock.Instant? = nil, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.deadline = deadline
        self.isCancelled = isCancelled
    }
}

public struct CompletionResult: Sendable, Equatable, Codable {
    public var prompt: String
    public var completion: String
    public var tokens: [InfluenceResult.QueryToken]
    /// Why it ended: "length", "end_of_text", "context_full" or "time_limit".
    public var finishReason: String

    enum CodingKeys: String, CodingKey {
        case prompt, completion, tokens
        case finishReason = "finish_reason"
    }
}

/// A sequence found by its words.
public struct SearchHit: Sendable, Equatable, Codable {
    public var rank: Int
    /// Equation 28 of Grosse et al. 2023.
    public var score: Double
    public var sequence: SequenceDescription
}

/// A training sequence as the corpus holds it.
public struct SequenceDescription: Sendable, Equatable, Codable {
    public var id: String
    public var documentID: String
    /// Which piece of its document, from 0.
    public var piece: Int
    /// Tokens of the document before this piece.
    public var tokenOffset: Int
    public var tokenCount: Int
    public var text: String
    public var source: String?
    public var metadata: JSONTree?

    enum CodingKeys: String, CodingKey {
        case id
        case documentID = "document_id"
        case piece
        case tokenOffset = "token_offset"
        case tokenCount = "token_count"
        case text, source, metadata
    }
}

/// What is loaded.
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

    public struct Layer: Sendable, Equatable, Codable {
        public var name: String
        /// Inputs, with one more where the layer has a bias.
        public var inputs: Int
        public var outputs: Int
    }

    public struct Factors: Sendable, Equatable, Codable {
        /// "sampled", "empirical", or "unknown" for factors that another program fitted.
        public var fisher: String
        public var sequences: Int
        public var tokens: Int?
        public var seed: UInt64?
        public var bytes: Int
        /// The tracked layers that no gradient of the fit reached: nothing has influence through them.
        public var layersWithoutCurvature: [String] = []

        enum CodingKeys: String, CodingKey {
            case fisher, sequences, tokens, seed, bytes
            case layersWithoutCurvature = "layers_without_curvature"
        }
    }

    public struct Index: Sendable, Equatable, Codable {
        /// Sequences of the corpus that are indexed; the others are when it is next used.
        public var sequences: Int
        /// ``SketchLayout/leading`` and ``SketchLayout/signs``.
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
    }
}
