import Curvature
import Limits
import LinearAlgebra
import Tokenizer
import Transformer

/// A model's properties, and the memory and time that it would need to answer queries.
///
/// Like all parts of an inspection, it is encoded with its keys in snake case.
struct ModelInspection: Sendable, Encodable {
    let architecture: String
    /// The folder of the adapter that was applied.
    let adapter: String?
    let digest: String
    let parameters: Int
    let layers: Int
    let width: Int
    let feedForwardWidth: Int
    /// The mixtures of experts; `nil` if every block has a single MLP.
    let experts: ExpertsInspection?
    let heads: Int
    let keyValueHeads: Int
    let headWidth: Int
    /// In tokens.
    let contextLength: Int
    let hasTiedHead: Bool
    let tokenizer: TokenizerInspection
    let tracked: [TrackedLayerInspection]
    /// The most rows of a diagonal block of a covariance; `nil` if covariances are not split.
    let largestBlock: Int?
    let memory: MemoryEstimate
    /// `nil` if nothing was measured.
    let measurement: MachineMeasurement?
    let costs: CostEstimate

    /// - Parameter measurement: Without it, costs have no times, and memory has no workspaces.
    init(
        of checkpoint: Checkpoint, tracking selection: LayerSelection = .feedForward, largestBlock: Int? = nil,
        load: CorpusLoad, workers: Int, measurement: MachineMeasurement?
    ) {
        let decoder = checkpoint.decoder
        let description = decoder.description
        let tracked = TrackedLayers(of: decoder, selection)
        architecture = description.architecture
        adapter = checkpoint.adapter
        digest = checkpoint.digest
        parameters = decoder.parameterCount
        layers = description.layers
        width = description.width
        feedForwardWidth = description.feedForwardWidth
        experts = description.experts.map { ExpertsInspection($0, layers: description.layers) }
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

struct TokenizerInspection: Sendable, Encodable {
    struct SpecialToken: Sendable, Encodable {
        let id: Int32
        let text: String
    }

    let kind: String
    let vocabulary: Int
    let digest: String
    let beginning: SpecialToken?
    let end: SpecialToken?
    /// The tokens in front of every text.
    let prefix: [SpecialToken]

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

/// The mixtures of experts of a model's blocks.
struct ExpertsInspection: Sendable, Encodable {
    /// The number of blocks that have a mixture.
    let blocks: Int
    /// The experts of a block, without the shared one.
    let count: Int
    /// The experts that a token goes to.
    let perToken: Int
    /// The inner width of an expert.
    let width: Int
    /// The inner width of the expert that all tokens share; `nil` if there is none.
    let sharedWidth: Int?

    init(_ experts: DecoderDescription.Experts, layers: Int) {
        blocks = layers - experts.denseBlocks.count
        count = experts.count
        perToken = experts.perToken
        width = experts.width
        sharedWidth = experts.sharedWidth
    }
}

struct TrackedLayerInspection: Sendable, Encodable {
    let name: String
    /// Including the 1 that is appended if the layer has a bias.
    let inputs: Int
    let outputs: Int
    /// The bytes of its factors in memory; layers that read the same inputs share the eigenvectors of the first of them.
    let factorBytes: Int

    init(_ layer: TrackedLayer, _ factors: LayerFactorShape) {
        name = layer.name
        inputs = layer.inputs
        outputs = layer.outputs
        factorBytes = factors.values * MemoryLayout<Float>.stride
    }
}

/// The sizes of a layer's factors, and of the matrices that are decomposed for them.
struct LayerFactorShape: Sendable {
    let parameters: Int
    /// The orders of the blocks of its inputs' covariance.
    let inputOrders: [Int]
    /// The orders of the blocks of its output gradients' covariance.
    let outputOrders: [Int]
    /// Whether the inputs' factors are its own, and not those of another layer that reads the same inputs.
    let ownsInputs: Bool
    /// The expected share of the tokens that go through it.
    let share: Double

    init(of layer: TrackedLayer, largestBlock: Int?) {
        parameters = layer.parameters
        inputOrders = BlockDiagonal.ranges(order: layer.inputs, largest: largestBlock).map(\.count)
        outputOrders = BlockDiagonal.ranges(order: layer.outputs, largest: largestBlock).map(\.count)
        ownsInputs = layer.inputOwner == layer.index
        share = layer.expert?.share ?? 1
    }

    /// The orders of the matrices that are decomposed for this layer.
    var orders: [Int] { (ownsInputs ? inputOrders : []) + outputOrders }

    /// The number of values of `Qs`, and of `Qa` unless another layer owns it.
    var eigenvectors: Int { orders.reduce(0) { $0 + $1 * $1 } }

    /// The number of values of `Qs`, `Qa` and `Λ`.
    var values: Int { eigenvectors + parameters }

    /// The number of values in a file, in which every layer has its own `Qa`.
    var valuesInFile: Int { (inputOrders + outputOrders).reduce(0) { $0 + $1 * $1 } + parameters }
}
