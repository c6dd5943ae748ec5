import LinearAlgebra

extension DecoderModel {
    /// Passes a tap the output gradients of `Σ KL(p‖q)` over all positions of a micro-batch that carry loss, with the base model's
    /// distribution p and this model's q: the Bregman divergence of softmax cross-entropy from the base model's outputs.
    ///
    /// If the two models are equal, every gradient is exactly zero. The curvature there is that of
    /// ``runGaussNewton(_:along:in:_:tracked:taps:)``.
    ///
    /// - Parameters:
    ///   - batch: Its targets only say which positions carry loss.
    ///   - base: Has the same shape as this model.
    ///   - baseWorkspace: A second workspace of the calling worker.
    /// - Complexity: A forward pass of both models, and a backward pass of this one.
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

extension TokenLoss {
    /// Computes the gradients of `Σ KL(p‖q)` with respect to the final hidden states behind q, summed over the positions that carry
    /// loss: p is a base model's distribution, q this model's.
    ///
    /// This is softmax cross-entropy with soft targets: its gradient in the logits is `q - p`. Logits are computed in blocks of rows,
    /// those of p from the base model's hidden states, so that no more than one block of each exists at a time.
    ///
    /// - Parameters:
    ///   - hidden: tokens × width, after the last normalisation.
    ///   - baseHidden: The same of the base model.
    ///   - gradients: Becomes tokens × width, zero at positions without loss.
    static func formDivergenceGradients(
        hidden: Matrix, head: OutputHead, baseHidden: Matrix, baseHead: OutputHead, batch: TokenBatch,
        _ scratch: inout Scratch, _ baseScratch: inout Scratch, gradients: inout Matrix
    ) {
        baseScratch.hidden.gatherRows(batch.lossPositions, of: baseHidden)
        formGradients(hidden: hidden, head: head, batch: batch, &scratch, gradients: &gradients) { rows, scratch in
            baseHead.formLogits(of: baseScratch.hidden[rows: rows], into: &baseScratch.logits)
            baseScratch.logits.applySoftmax()
            scratch.logits.add(baseScratch.logits, scaledBy: -1)
        }
    }
}
