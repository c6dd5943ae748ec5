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

extension TokenLoss {
    /// Finds the gradients of `Σ KL(p‖q)` in the final hidden states that q comes from, summed over the positions that carry
    /// loss: p is a base model's distribution, q this one's.
    ///
    /// This is softmax cross-entropy with soft targets: its gradient in the logits is `q - p`. Logits are found in blocks of rows,
    /// p's anew from the base model's hidden states, so that no more than a block of either ever exists.
    ///
    /// - Parameters:
    ///   - hidden: tokens × width, after the last normalisation.
    ///   - baseHidden: Those of the base model, of the same batch.
    ///   - gradients: Becomes tokens × width, zero where there is no loss.
    static func formDivergenceGradients(
        hidden: Matrix, head: OutputHead, baseHidden: Matrix, baseHead: OutputHead, batch: TokenBatch,
        _ scratch: inout Scratch, _ baseScratch: inout Scratch, gradients: inout Matrix
    ) {
        let positions = batch.lossPositions
        scratch.hidden.gatherRows(positions, of: hidden)
        baseScratch.hidden.gatherRows(positions, of: baseHidden)
        scratch.hiddenGradients.resize(rows: positions.count, columns: hidden.columns)
        for start in stride(from: 0, to: positions.count, by: block) {
            let rows = start..<min(start + block, positions.count)
            head.formLogits(of: scratch.hidden[rows: rows], into: &scratch.logits)
            baseHead.formLogits(of: baseScratch.hidden[rows: rows], into: &baseScratch.logits)
            if head.cap != nil { scratch.cappedLogits.copyValues(of: scratch.logits) }
            // A limit of all columns makes it the softmax of whole rows.
            scratch.logits.applyCausalSoftmax(scale: 1, firstLimit: scratch.logits.columns)
            baseScratch.logits.applyCausalSoftmax(scale: 1, firstLimit: baseScratch.logits.columns)
            scratch.logits.add(baseScratch.logits, scaledBy: -1)
            if let cap = head.cap { scratch.logits.applySoftCapGradient(capped: scratch.cappedLogits, cap: cap) }
            scratch.hiddenGradients.setBlock(
                row: start, column: 0, toProduct: scratch.logits.slice, head.weight)
        }
        gradients.scatterRows(of: scratch.hiddenGradients, to: positions, rows: batch.tokens.count)
    }
}
