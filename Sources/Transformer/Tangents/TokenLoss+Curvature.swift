import LinearAlgebra

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
