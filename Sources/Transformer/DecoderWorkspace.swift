import LinearAlgebra

/// The matrices of one worker's forward and backward passes, reused from batch to batch.
///
/// Each grows to the largest batch it has seen and is then never allocated again.
public struct DecoderWorkspace: Sendable {
    struct BlockActivations {
        var attentionNorm = Normalization.Activations()
        var attention = Attention.Activations()
        var feedForwardNorm = Normalization.Activations()
        var feedForward = FeedForward.Activations()
    }

    var blocks: [BlockActivations] = []
    /// tokens × width: the residual stream before the first block, and after each attention and MLP.
    var residuals: [Matrix] = []
    var finalNorm = Normalization.Activations()

    // Shared by all blocks.
    var residualGradients = Matrix()
    var normalizedGradients = Matrix()
    var attention = Attention.Scratch()
    var feedForward = FeedForward.Scratch()
    var loss = TokenLoss.Scratch()

    public init() {}

    mutating func prepare(blocks count: Int) {
        while blocks.count < count { blocks.append(BlockActivations()) }
        while residuals.count < 2 * count + 1 { residuals.append(Matrix()) }
    }
}
