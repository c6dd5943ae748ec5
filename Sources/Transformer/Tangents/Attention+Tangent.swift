import LinearAlgebra

extension Attention {
    /// Room for the tangents of one block's attention.
    struct Tangents {
        /// tokens × (queries + keys + values)
        var projected = Matrix()
        /// tokens × queries
        var mixed = Matrix()
        /// query rows × keys
        var weights = Matrix()
        var norm = QueryKeyNormalization.Tangents()
    }

    /// Adds the tangents of attention's output.
    ///
    /// The softmax's Jacobian is symmetric, and soft cap and clamp work entry by entry: for these the step of the backward pass
    /// is that of the tangents as well.
    func addTangents(
        along direction: TangentDirection, normalized: Matrix, normalizedTangents: Matrix, batch: TokenBatch,
        rotary: RotaryTable?, _ activations: Activations, _ scratch: inout Scratch, _ tangents: inout Tangents,
        to outputs: inout Matrix
    ) {
        projectTangents(along: direction, normalized, normalizedTangents, activations, &tangents)
        for vectors in [layout.queries, layout.keys] {
            rotary?.apply(to: &tangents.projected, vectors, positions: batch.positions)
        }
        prepareMixed(rows: normalized.rows, &scratch)
        tangents.mixed.resize(rows: normalized.rows, columns: output.inputWidth)
        forEachBlock(of: batch) { block in
            attendTangents(
                block, Parts(of: activations.projected, block), Parts(of: tangents.projected, block), &scratch,
                &tangents)
        }
        output.addTangents(
            along: direction, inputs: scratch.mixed, inputTangents: tangents.mixed, to: &outputs)
    }

    private func projectTangents(
        along direction: TangentDirection, _ normalized: Matrix, _ normalizedTangents: Matrix,
        _ activations: Activations, _ tangents: inout Tangents
    ) {
        tangents.projected.resize(rows: normalized.rows, columns: layout.width, filledWith: 0)
        var column = 0
        for layer in inputs {
            layer.addTangents(
                along: direction, inputs: normalized, inputTangents: normalizedTangents, to: &tangents.projected,
                column: column)
            column += layer.outputWidth
        }
        if let projectionLimit {
            tangents.projected.applyClampGradient(inputs: activations.unlimited, limit: projectionLimit)
        }
        queryNorm?.applyTangents(
            to: &tangents.projected, layout.queries, activations.queryNorm, &tangents.norm)
        keyNorm?.applyTangents(to: &tangents.projected, layout.keys, activations.keyNorm, &tangents.norm)
    }

    /// Writes the tangents of what a block's queries gather: `dP V + P dV`, P the softmax of the scores.
    private func attendTangents(
        _ block: Block, _ parts: Parts, _ changes: Parts, _ scratch: inout Scratch, _ tangents: inout Tangents
    ) {
        scratch.weights.formProduct(parts.queries, parts.keys.transposed)
        tangents.weights.formProduct(changes.queries, parts.keys.transposed)
        tangents.weights.addProduct(parts.queries, changes.keys.transposed)
        if let scoreCap {
            scratch.weights.applySoftCap(scoreCap, scale: scale)
            tangents.weights.applySoftCapGradient(capped: scratch.weights, cap: scoreCap, scale: scale)
        }
        applySoftmax(to: &scratch.weights, block)
        mix(parts.values, block, &scratch)
        tangents.weights.applySoftmaxGradient(probabilities: scratch.weights, scale: softmaxScale)
        tangents.mixed.setBlock(
            row: block.queries.lowerBound, column: block.mixedColumns.lowerBound, toProduct: tangents.weights.slice,
            parts.values)
        tangents.mixed.setBlock(
            row: block.queries.lowerBound, column: block.mixedColumns.lowerBound, toProduct: scratch.weights.slice,
            changes.values, adding: true)
    }
}
