import LinearAlgebra

extension DecoderModel {
    /// Multiplies directions of the tracked parameters by the Gauss-Newton matrix of a batch's summed loss,
    /// `G = Σ Jᵀ (diag(p) - p pᵀ) J` over all positions that carry loss, J the Jacobian of the position's logits and p the
    /// model's distribution there (Schraudolph 2002). G is the true Fisher: what gradients of sampled labels have as the mean
    /// of their outer product.
    ///
    /// One forward pass, and for each direction a tangent pass and a backward pass. Each tap gets the output gradients
    /// `D` of its direction in place of the loss's, so that `Σ Dᵀ A` is the product.
    ///
    /// - Parameters:
    ///   - batch: Its targets say which positions carry loss, and nothing more.
    ///   - directions: Of the shapes of `tracked`.
    ///   - taps: One a direction.
    public func runGaussNewton<Tap: GradientTap>(
        _ batch: TokenBatch, along directions: [ParameterVector], in workspace: inout DecoderWorkspace,
        _ tangents: inout TangentWorkspace, tracked: TrackedLayers, taps: inout [Tap]
    ) {
        precondition(taps.count == directions.count, "one tap a direction")
        forward(batch, in: &workspace)
        for (place, vector) in directions.enumerated() {
            formTangents(
                along: TangentDirection(vector: vector, tracked: tracked), batch, in: &workspace, &tangents)
            TokenLoss.formCurvatureProduct(
                hidden: workspace.finalNorm.outputs, hiddenTangents: tangents.hidden, head: head, batch: batch,
                &workspace.loss, &tangents.loss, gradients: &workspace.normalizedGradients)
            backward(batch, in: &workspace, tracked: tracked, tap: &taps[place])
            taps[place].finish(batch)
        }
    }

    /// The tangents of the logits at some positions of a batch along a direction, positions × vocabulary.
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

    /// Finds the tangents of the final hidden states, after a forward pass of the same batch.
    private func formTangents(
        along direction: TangentDirection, _ batch: TokenBatch, in workspace: inout DecoderWorkspace,
        _ tangents: inout TangentWorkspace
    ) {
        tangents.residual.resize(rows: batch.tokens.count, columns: description.width, filledWith: 0)
        for (index, block) in blocks.enumerated() where index >= direction.tracked.lowestBlock {
            block.applyTangents(
                along: direction, batch, index, rotary: rotary(ofLayer: index, in: workspace), in: &workspace,
                &tangents, residualIsFixed: index == direction.tracked.lowestBlock)
        }
        finalNorm.formTangents(
            of: tangents.residual, inputs: workspace.residuals[2 * blocks.count], workspace.finalNorm,
            into: &tangents.hidden)
    }
}

extension TokenLoss {
    /// Room for intermediate results.
    struct Tangents {
        /// positions with loss × width
        var hidden = Matrix()
        /// block × vocabulary
        var logits = Matrix()
    }

    /// Multiplies by the curvature of the loss in the final hidden states: `Jᵀ (diag(p) - p pᵀ) J t` for the tangents `t` of
    /// each position that carries loss, J the head's Jacobian and p the model's own distribution.
    ///
    /// Logits are found in blocks of rows, as everywhere; the curvature of the softmax cross-entropy does not depend on labels.
    ///
    /// - Parameters:
    ///   - hidden: tokens × width, after the last normalisation.
    ///   - hiddenTangents: `t`, of the same shape.
    ///   - gradients: Becomes tokens × width, zero where there is no loss.
    static func formCurvatureProduct(
        hidden: Matrix, hiddenTangents: Matrix, head: OutputHead, batch: TokenBatch, _ scratch: inout Scratch,
        _ tangents: inout Tangents, gradients: inout Matrix
    ) {
        let positions = batch.lossPositions
        scratch.hidden.gatherRows(positions, of: hidden)
        tangents.hidden.gatherRows(positions, of: hiddenTangents)
        scratch.hiddenGradients.resize(rows: positions.count, columns: hidden.columns)
        for start in stride(from: 0, to: positions.count, by: block) {
            let rows = start..<min(start + block, positions.count)
            head.formLogits(of: scratch.hidden[rows: rows], into: &scratch.logits)
            tangents.logits.formProduct(tangents.hidden[rows: rows], head.weight.transposed)
            if let cap = head.cap {
                scratch.cappedLogits.copyValues(of: scratch.logits)
                tangents.logits.applySoftCapGradient(capped: scratch.cappedLogits, cap: cap)
            }
            // A limit of all columns makes it the softmax of whole rows.
            scratch.logits.applyCausalSoftmax(scale: 1, firstLimit: scratch.logits.columns)
            tangents.logits.applySoftmaxGradient(probabilities: scratch.logits, scale: 1)
            if let cap = head.cap {
                tangents.logits.applySoftCapGradient(capped: scratch.cappedLogits, cap: cap)
            }
            scratch.hiddenGradients.setBlock(
                row: start, column: 0, toProduct: tangents.logits.slice, head.weight)
        }
        gradients.scatterRows(of: scratch.hiddenGradients, to: positions, rows: batch.tokens.count)
    }
}
