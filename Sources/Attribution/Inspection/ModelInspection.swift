import Curvature
import Limits
import Tokenizer
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
    /// Rows of the blocks on the diagonal into which the covariances of larger layers are split; nil where all are whole.
    public let largestBlock: Int?
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
        case tokenizer, tracked
        case largestBlock = "largest_block"
        case memory, measurement, costs
    }

    /// Inspects a model.
    ///
    /// - Parameters:
    ///   - selection: Which layers are tracked.
    ///   - largestBlock: Rows of the blocks into which larger covariances are split; `nil` for none.
    ///   - load: The sequences of which the costs are.
    ///   - measurement: `nil` gives costs without times, and memory without a sweep's workspace.
    public init(
        of checkpoint: Checkpoint, tracking selection: LayerSelection = .feedForward, largestBlock: Int? = nil,
        load: CorpusLoad, workers: Int, measurement: MachineMeasurement?
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
        let factors = tracked.layers.map { LayerFactorShape(of: $0, largestBlock: largestBlock) }
        self.tracked = zip(tracked.layers, factors).map(TrackedLayerInspection.init)
        self.largestBlock = largestBlock
        memory = MemoryEstimate(
            of: decoder, factors: factors, length: Int(saturating: load.meanLength.rounded(.up)), workers: workers,
            measurement: measurement)
        self.measurement = measurement
        costs = CostEstimate(
            of: decoder, tracked: tracked, factors: factors, load: load, measurement: measurement)
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

    init(_ layer: TrackedLayer, _ factors: LayerFactorShape) {
        name = layer.name
        inputs = layer.inputs
        outputs = layer.outputs
        factorBytes = factors.values * MemoryLayout<Float>.stride
    }
}
