import LinearAlgebra

extension DecoderModel {
    /// Multiplies directions of the tracked parameters by the Gauss-Newton matrix of a micro-batch's summed loss,
    /// `G = Σ Jᵀ (diag(p) - p pᵀ) J` over all positions that carry loss. J is the Jacobian of the position's logits, and p the model's
    /// distribution there (Schraudolph 2002). G is the true Fisher: the mean outer product of gradients of sampled labels.
    ///
    /// Each tap receives the output gradients `D` of its direction instead of the loss's, so that `Σ Dᵀ A` is the product.
    ///
    /// - Parameters:
    ///   - batch: Its targets only say which positions carry loss.
    ///   - directions: Have the shapes of `tracked`.
    ///   - taps: One per direction.
    /// - Complexity: One forward pass, and one tangent pass and one backward pass per direction.
    public func runGaussNewton<Tap: GradientTap>(
        _ batch: TokenBatch, along directions: [ParameterVector], in workspace: inout DecoderWorkspace,
        _ tangents: inout TangentWorkspace, tracked: TrackedLayers, taps: inout [Tap]
    ) {
        precondition(taps.count == directions.count, "\(taps.count) taps for \(directions.count) directions")
        forward(batch, in: &workspace)
        for (index, vector) in directions.enumerated() {
            formTangents(
                along: TangentDirection(vector: vector, tracked: tracked), batch, in: &workspace, &tangents)
            TokenLoss.formCurvatureProduct(
                hidden: workspace.finalNorm.outputs, hiddenTangents: tangents.hidden, head: head, batch: batch,
                &workspace.loss, &tangents.loss, gradients: &workspace.normalizedGradients)
            backward(batch, in: &workspace, tracked: tracked, tap: &taps[index])
            taps[index].finish(batch)
        }
    }

    /// The tangents of the logits at some positions of a micro-batch along a direction: positions × vocabulary.
    public func logitTangents(
        of batch: TokenBatch, at positions: [Int], along direction: ParameterVector, tracked: TrackedLayers,
        in workspace: inout DecoderWorkspace, _ tangents: inout TangentWorkspace
    ) -> Matrix {
        forward(batch, in: &workspace)
        formTangents(
            along: TangentDirection(vector: direction, tracked: tracked), batch, in: &workspace, &tangents)
        var hidden = Matrix()
        hidden.gatherRows(positions, of: workspace.finalNorm.outputs)
        var hiddenTangents = Matrix()
        hiddenTangents.gatherRows(positions, of: tangents.hidden)
        var logitTangents = Matrix()
        logitTangents.formProduct(hiddenTangents.slice, head.weight.transposed)
        if let cap = head.cap {
            var logits = Matrix()
            head.formLogits(of: hidden.slice, into: &logits)
            logitTangents.applySoftCapGradient(capped: logits, cap: cap)
        }
        return logitTangents
    }

    /// Computes the tangents of the final hidden states, after a forward pass of the same micro-batch.
    private func formTangents(
        along direction: TangentDirection, _ batch: TokenBatch, in workspace: inout DecoderWorkspace,
        _ tangents: inout TangentWorkspace
    ) {
        tangents.residual.resize(rows: batch.tokens.count, columns: description.width, filledWith: 0)
        for (index, block) in blocks.enumerated() where index >= direction.tracked.lowestBlock {
            block.applyTangents(
                along: direction, batch, index, rotary: rotary(ofLayer: index, in: workspace), in: &workspace,
                tangents: &tangents, residualIsFixed: index == direction.tracked.lowestBlock)
        }
        finalNorm.formTangents(
            of: tangents.residual, inputs: workspace.residuals[2 * blocks.count], workspace.finalNorm,
            into: &tangents.hidden)
    }
}

extension TokenLoss {
    struct Tangents {
        /// positions with loss × width
        var hidden = Matrix()
        /// block × vocabulary
        var logits = Matrix()
    }

    /// Multiplies by the curvature of the loss in the final hidden states: `Jᵀ (diag(p) - p pᵀ) J t` for the tangents `t` of each
    /// position that carries loss, with the head's Jacobian J and the model's own distribution p.
    ///
    /// Logits are computed in blocks of rows. The curvature of the softmax cross-entropy does not depend on labels.
    ///
    /// - Parameters:
    ///   - hidden: tokens × width, after the last normalisation.
    ///   - hiddenTangents: `t`, of the same shape.
    ///   - gradients: Becomes tokens × width, zero at positions without loss.
    static func formCurvatureProduct(
        hidden: Matrix, hiddenTangents: Matrix, head: OutputHead, batch: TokenBatch, _ scratch: inout Scratch,
        _ tangents: inout Tangents, gradients: inout Matrix
    ) {
        tangents.hidden.gatherRows(batch.lossPositions, of: hiddenTangents)
        formGradients(hidden: hidden, head: head, batch: batch, &scratch, gradients: &gradients) { rows, scratch in
            tangents.logits.formProduct(tangents.hidden[rows: rows], head.weight.transposed)
            if let cap = head.cap {
                tangents.logits.applySoftCapGradient(capped: scratch.cappedLogits, cap: cap)
            }
            tangents.logits.applySoftmaxGradient(probabilities: scratch.logits, scale: 1)
            swap(&scratch.logits, &tangents.logits)
        }
    }
}
