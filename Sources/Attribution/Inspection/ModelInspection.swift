import Curvature
import Transformer

/// What a model is, and what it would take to answer for it.
public struct ModelInspection: Sendable, Encodable {
    public let architecture: String
    /// The model's digest, in hexadecimal.
    public let digest: String
    public let parameters: Int
    public let layers: Int
    public let width: Int
    public let feedForwardWidth: Int
    public let heads: Int
    public let keyValueHeads: Int
    public let headWidth: Int
    /// Tokens.
    public let contextLength: Int
    public let hasTiedHead: Bool
    public let tokenizer: TokenizerInspection
    public let tracked: [TrackedLayerInspection]
    public let memory: MemoryEstimate
    /// What was measured; nil where nothing was.
    public let measurement: MachineMeasurement?
    public let costs: CostEstimate

    enum CodingKeys: String, CodingKey {
        case architecture, digest, parameters, layers, width
        case feedForwardWidth = "feed_forward_width"
        case heads
        case keyValueHeads = "key_value_heads"
        case headWidth = "head_width"
        case contextLength = "context_length"
        case hasTiedHead = "has_tied_head"
        case tokenizer, tracked, memory, measurement, costs
    }

    /// Inspects a model.
    ///
    /// - Parameters:
    ///   - selection: Which layers are tracked.
    ///   - load: The sequences of which the costs are.
    ///   - measurement: `nil` gives costs without times, and memory without a sweep's workspace.
    public init(
        of checkpoint: Checkpoint, tracking selection: LayerSelection = .feedForward, load: CorpusLoad,
        workers: Int, measurement: MachineMeasurement?
    ) {
        let decoder = checkpoint.decoder
        let description = decoder.description
        let tracked = TrackedLayers(of: decoder, selection)
        architecture = description.architecture
        digest = checkpoint.digest
        parameters = decoder.parameterCount
        layers = description.layers
        width = description.width
        feedForwardWidth = description.feedForwardWidth
        heads = description.heads
        keyValueHeads = description.keyValueHeads
        headWidth = description.headWidth
        contextLength = description.contextLength
        hasTiedHead = decoder.untiedHead == nil
        tokenizer = TokenizerInspection(of: checkpoint.tokenizer)
        self.tracked = tracked.layers.map(TrackedLayerInspection.init)
        memory = MemoryEstimate(
            of: decoder, tracked: tracked, length: Int(load.meanLength.rounded(.up)), workers: workers,
            measurement: measurement)
        self.measurement = measurement
        costs = CostEstimate(
            of: decoder, tracked: tracked, load: load, memory: memory, measurement: measurement)
    }
}

/// A model's tokenizer.
public struct TokenizerInspection: Sendable, Encodable {
    public struct SpecialToken: Sendable, Encodable {
        public let id: Int32
        public let text: String
    }

    public let kind: String
    public let vocabulary: Int
    public let digest: String
    public let beginning: SpecialToken?
    public let end: SpecialToken?
    /// What is put in front of every text.
    public let prefix: [SpecialToken]

    init(of tokenizer: Tokenizer) {
        func special(_ id: Int32) -> SpecialToken { SpecialToken(id: id, text: tokenizer.tokenText(id)) }
        kind = tokenizer.kind
        vocabulary = tokenizer.vocabularyCount
        digest = tokenizer.digest
        beginning = tokenizer.bosToken.map(special)
        end = tokenizer.eosToken.map(special)
        prefix = tokenizer.prefixTokens.map(special)
    }
}

/// A linear layer whose influence is computed.
public struct TrackedLayerInspection: Sendable, Encodable {
    public let name: String
    /// Counting the 1 that is appended where the layer has a bias.
    public let inputs: Int
    public let outputs: Int
    /// Bytes of its factors in memory; layers that read the same inputs share the eigenvectors of the first of them.
    public let factorBytes: Int

    enum CodingKeys: String, CodingKey {
        case name, inputs, outputs
        case factorBytes = "factor_bytes"
    }

    init(_ layer: TrackedLayer) {
        name = layer.name
        inputs = layer.inputs
        outputs = layer.outputs
        factorBytes = layer.factorBytes
    }
}

extension TrackedLayer {
    var ownsInputs: Bool { inputOwner == index }

    /// Values of its `Qa` (unless it is another's), `Qs` and `Λ`.
    var factorBytes: Int {
        ((ownsInputs ? inputs * inputs : 0) + outputs * outputs + inputs * outputs) * MemoryLayout<Float>.stride
    }
}
