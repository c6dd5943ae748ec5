import LinearAlgebra

extension DecoderModel {
    /// Hands a tap the output gradients of `Σ KL(p‖q)` over all positions of a batch that carry loss, p the base model's
    /// distribution and q this one's: the Bregman divergence of softmax cross-entropy from the base model's outputs.
    ///
    /// Where the two models are one, every gradient is zero to the last bit, whatever the batch. The curvature there is that of
    /// ``runGaussNewton(_:along:in:_:tracked:taps:)``. A forward pass of both models, and a backward pass of this one.
    ///
    /// - Parameters:
    ///   - batch: Its targets say which positions carry loss, and nothing more.
    ///   - base: Of the same shape.
    ///   - baseWorkspace: Another than `workspace`, the calling worker's own as well.
    public func runDivergence<Tap: GradientTap>(
        _ batch: TokenBatch, from base: DecoderModel, in workspace: inout DecoderWorkspace,
        _ baseWorkspace: inout DecoderWorkspace, tracked: TrackedLayers, tap: inout Tap
    ) {
        base.forward(batch, in: &baseWorkspace)
        forward(batch, in: &workspace)
        TokenLoss.formDivergenceGradients(
            hidden: workspace.finalNorm.outputs, head: head, baseHidden: baseWorkspace.finalNorm.outputs,
            baseHead: base.head, batch: batch, &workspace.loss, &baseWorkspace.loss,
            gradients: &workspace.normalizedGradients)
        backward(batch, in: &workspace, tracked: tracked, tap: &tap)
        tap.finish(batch)
    }
}
