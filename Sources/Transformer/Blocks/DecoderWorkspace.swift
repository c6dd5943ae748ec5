import LinearAlgebra

/// The matrices of one worker's forward and backward passes.
///
/// They are reused for each micro-batch: after the largest one, none is allocated again.
public struct DecoderWorkspace: Sendable {
    struct BlockActivations {
        var attention = Attention.Activations()
        var feedForward = FeedForward.Activations()
        var experts = MixtureOfExperts.Activations()
    }

    var blocks: [BlockActivations] = []
    /// tokens × width: the residual stream before the first block, after each attention, and after each MLP.
    var residuals: [Matrix] = []
    /// tokens × width, one per block: the outputs of attention and MLP, if a norm follows them.
    var attentionOutputs: [Matrix] = []
    var feedForwardOutputs: [Matrix] = []
    var finalNorm = Normalization.Activations()

    // Shared by all blocks; they belong to the block that was read last.
    var attentionInputs = Normalization.Activations()
    var feedForwardInputs = Normalization.Activations()
    /// The activations of a norm between attention or MLP and the residual stream.
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
    var experts = MixtureOfExperts.Scratch()
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
