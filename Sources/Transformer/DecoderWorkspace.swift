import LinearAlgebra

/// The matrices of one worker's forward and backward passes, reused from batch to batch.
///
/// Each grows to the largest batch it has seen and is then never allocated again.
public struct DecoderWorkspace: Sendable {
    struct BlockActivations {
        var attention = Attention.Activations()
        var feedForward = FeedForward.Activations()
    }

    var blocks: [BlockActivations] = []
    /// tokens × width: the residual stream before the first block, and after each attention and MLP.
    var residuals: [Matrix] = []
    /// tokens × width, one a block: what attention and MLP give, where a norm stands between that and the residual stream.
    var attentionOutputs: [Matrix] = []
    var feedForwardOutputs: [Matrix] = []
    var finalNorm = Normalization.Activations()

    // Shared by all blocks: of the one that was read last.
    var attentionInputs = Normalization.Activations()
    var feedForwardInputs = Normalization.Activations()
    /// Behind a norm between attention or MLP and the residual stream.
    var branchOutputs = Normalization.Activations()

    // Shared by all blocks.
    var residualGradients = Matrix()
    var normalizedGradients = Matrix()
    var feedForwardInputGradients = Matrix()
    var branchGradients = Matrix()
    var rotary = RotaryTable()
    var windowedRotary = RotaryTable()
    var attention = Attention.Scratch()
    var feedForward = FeedForward.Scratch()
    var loss = TokenLoss.Scratch()

    public init() {}

    mutating func prepare(blocks count: Int) {
        while blocks.count < count { blocks.append(BlockActivations()) }
        while attentionOutputs.count < count { attentionOutputs.append(Matrix()) }
        while feedForwardOutputs.count < count { feedForwardOutputs.append(Matrix()) }
        while residuals.count < 2 * count + 1 { residuals.append(Matrix()) }
    }

    mutating func prepareRotaryTables(_ description: DecoderDescription, _ batch: TokenBatch) {
        guard case .rotary(let embedding, let windowed) = description.position else { return }
        let positions = batch.positionCount
        rotary.prepare(embedding, positions: positions, contextLength: description.contextLength)
        if let windowed {
            windowedRotary.prepare(windowed, positions: positions, contextLength: description.contextLength)
        }
    }
}

extension DecoderModel {
    /// The bytes that a pass keeps for each token of a batch until its backward part.
    private var activationBytesPerToken: Int {
        let values = blocks.reduce(0) { sum, block in
            let projected = block.attention.inputs.reduce(0) { $0 + $1.outputWidth }
            let inner = block.feedForward.up.outputWidth + (block.feedForward.gate?.outputWidth ?? 0)
            // And two residual streams.
            return sum + 2 * description.width + projected + inner
        }
        return values * MemoryLayout<Float>.stride
    }

    /// Tokens of a micro-batch of a sweep: as many as keep a worker's activations within 160 MB, but at least 256, below which products
    /// get slower, and at most 1,024, above which they get no faster.
    public var microBatchTokens: Int {
        min(max(160_000_000 / max(activationBytesPerToken, 1), 256), 1_024)
    }

    /// The bytes of the logits that exist at a time in a pass over so many tokens.
    ///
    /// - Parameter samplesLabels: Labels are drawn from all tokens' logits together, others are found in parts of the vocabulary.
    public func logitBytes(tokens: Int, samplesLabels: Bool) -> Int {
        TokenLoss.logitBytes(positions: tokens, vocabulary: description.vocabulary, samplesLabels: samplesLabels)
    }
}
