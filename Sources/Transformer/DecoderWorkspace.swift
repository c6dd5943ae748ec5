import LinearAlgebra

/// The matrices of one worker's forward and backward passes, reused from batch to batch.
///
/// Each grows to the largest batch it has seen and is then never allocated again.
public struct DecoderWorkspace: Sendable {
    struct BlockActivations {
        var attentionNorm = Normalization.Activations()
        var attention = Attention.Activations()
        var attentionOutputNorm = Normalization.Activations()
        var feedForwardNorm = Normalization.Activations()
        var feedForward = FeedForward.Activations()
        var feedForwardOutputNorm = Normalization.Activations()
    }

    var blocks: [BlockActivations] = []
    /// tokens × width: the residual stream before the first block, and after each attention and MLP.
    var residuals: [Matrix] = []
    /// tokens × width, one a block: what attention and MLP give, where a norm stands between that and the residual stream.
    var attentionOutputs: [Matrix] = []
    var feedForwardOutputs: [Matrix] = []
    var finalNorm = Normalization.Activations()

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
        let positions = batch.sequences.map(\.count).max() ?? 0
        rotary.prepare(embedding, positions: positions, contextLength: description.contextLength)
        if let windowed {
            windowedRotary.prepare(windowed, positions: positions, contextLength: description.contextLength)
        }
    }
}
