import LinearAlgebra

/// Causal self-attention, with as many query heads to a key-value head as the model has.
public struct Attention: Sendable {
    /// The layers whose outputs, side by side, are queries, keys and values.
    public var inputs: [LinearLayer]
    public var output: LinearLayer
    let heads: Int
    let keyValueHeads: Int
    let headWidth: Int

    /// Query rows that attend at a time, so that memory grows with a sequence's length and not its square.
    private static let queryBlock = 128

    /// What the backward pass needs of a forward pass.
    struct Activations {
        /// tokens × (queries + keys + values), rotated where the model does so.
        var projected = Matrix()
        /// tokens × queries: the weighted values of all heads, and a column of 1 where the output layer has a bias.
        var mixed = Matrix()
    }

    /// Room for intermediate results, shared by all blocks.
    struct Scratch {
        /// query rows × keys
        var weights = Matrix()
        var weightGradients = Matrix()
        /// tokens × queries
        var mixedGradients = Matrix()
        /// tokens × (queries + keys + values)
        var projectedGradients = Matrix()
    }

    private var scale: Float { 1 / Float(headWidth).squareRoot() }
    private var keyColumn: Int { heads * headWidth }
    private var valueColumn: Int { (heads + keyValueHeads) * headWidth }
    private var projectedWidth: Int { (heads + 2 * keyValueHeads) * headWidth }

    /// Adds attention's output to the residual stream.
    func forward(
        _ normalized: Matrix, batch: TokenBatch, rotary: Rotary?, _ activations: inout Activations,
        _ scratch: inout Scratch, addingTo residual: inout Matrix
    ) {
        activations.projected.resize(rows: normalized.rows, columns: projectedWidth)
        var column = 0
        for layer in inputs {
            layer.forward(normalized, into: &activations.projected, column: column)
            column += layer.outputWidth
        }
        rotary?.apply(
            to: &activations.projected, column: 0, heads: heads + keyValueHeads, headWidth: headWidth,
            positions: batch.positions)
        activations.mixed.resize(rows: normalized.rows, columns: output.weight.columns)
        if output.hasBias { activations.mixed.fillColumn(output.inputWidth, with: 1) }
        forEachBlock(of: batch) { block in
            let parts = Parts(of: activations.projected, block, self)
            scratch.weights.formProduct(parts.queries, parts.keys.transposed)
            scratch.weights.applyCausalSoftmax(scale: scale, firstLimit: block.firstLimit)
            activations.mixed.setBlock(
                row: block.queries.lowerBound, column: block.queryColumns.lowerBound, toProduct: scratch.weights.slice,
                parts.values)
        }
        residual.addProduct(activations.mixed.slice, output.weight.transposed)
    }

    /// Adds to the gradients of the normalised inputs, given those of the residual stream behind it.
    ///
    /// - Parameter needsInputGradients: False under which nothing is tracked: only the taps are served then.
    func backward<Tap: GradientTap>(
        _ residualGradients: Matrix, normalized: Matrix, batch: TokenBatch, rotary: Rotary?,
        _ activations: Activations, _ scratch: inout Scratch, into normalizedGradients: inout Matrix,
        tracked: TrackedLayers, tap: inout Tap
    ) {
        tracked.offer(
            output, inputs: activations.mixed.slice, outputGradients: residualGradients.slice, batch, to: &tap)
        scratch.mixedGradients.resize(rows: normalized.rows, columns: output.inputWidth)
        output.backward(residualGradients.slice, into: &scratch.mixedGradients, adding: false)
        scratch.projectedGradients.resize(rows: normalized.rows, columns: projectedWidth, filledWith: 0)
        forEachBlock(of: batch) { block in
            let parts = Parts(of: activations.projected, block, self)
            let mixedGradients = scratch.mixedGradients[rows: block.queries, columns: block.queryColumns]
            // The weights are found again rather than kept: they are the square of the length.
            scratch.weights.formProduct(parts.queries, parts.keys.transposed)
            scratch.weights.applyCausalSoftmax(scale: scale, firstLimit: block.firstLimit)
            scratch.projectedGradients.setBlock(
                row: block.keys.lowerBound, column: block.valueColumns.lowerBound,
                toProduct: scratch.weights.transposed, mixedGradients, adding: true)
            scratch.weightGradients.formProduct(mixedGradients, parts.values.transposed)
            scratch.weightGradients.applySoftmaxGradient(probabilities: scratch.weights, scale: scale)
            scratch.projectedGradients.setBlock(
                row: block.queries.lowerBound, column: block.queryColumns.lowerBound,
                toProduct: scratch.weightGradients.slice, parts.keys)
            scratch.projectedGradients.setBlock(
                row: block.keys.lowerBound, column: block.keyColumns.lowerBound,
                toProduct: scratch.weightGradients.transposed, parts.queries, adding: true)
        }
        rotary?.apply(
            to: &scratch.projectedGradients, column: 0, heads: heads + keyValueHeads, headWidth: headWidth,
            positions: batch.positions, isInverse: true)
        normalizedGradients.resize(rows: normalized.rows, columns: inputs.first?.inputWidth ?? 0)
        var column = 0
        for layer in inputs {
            let gradients = scratch.projectedGradients[columns: column..<(column + layer.outputWidth)]
            tracked.offer(layer, inputs: normalized.slice, outputGradients: gradients, batch, to: &tap)
            layer.backward(gradients, into: &normalizedGradients, adding: column > 0)
            column += layer.outputWidth
        }
    }

    /// Some query rows of one head and sequence, and the keys that the last of them sees.
    private struct Block {
        let queries: Range<Int>
        let keys: Range<Int>
        /// How many keys the first query row sees.
        let firstLimit: Int
        let queryColumns: Range<Int>
        let keyColumns: Range<Int>
        let valueColumns: Range<Int>
    }

    private struct Parts {
        let queries: MatrixSlice
        let keys: MatrixSlice
        let values: MatrixSlice

        init(of projected: Matrix, _ block: Block, _ attention: Attention) {
            queries = projected[rows: block.queries, columns: block.queryColumns]
            keys = projected[rows: block.keys, columns: block.keyColumns]
            values = projected[rows: block.keys, columns: block.valueColumns]
        }
    }

    private func forEachBlock(of batch: TokenBatch, _ body: (Block) -> Void) {
        let group = heads / keyValueHeads
        for sequence in batch.sequences {
            for head in 0..<heads {
                let sharedHead = head / group * headWidth
                for start in stride(from: sequence.lowerBound, to: sequence.upperBound, by: Self.queryBlock) {
                    let end = min(start + Self.queryBlock, sequence.upperBound)
                    body(
                        Block(
                            queries: start..<end, keys: sequence.lowerBound..<end,
                            firstLimit: start - sequence.lowerBound + 1,
                            queryColumns: (head * headWidth)..<((head + 1) * headWidth),
                            keyColumns: (keyColumn + sharedHead)..<(keyColumn + sharedHead + headWidth),
                            valueColumns: (valueColumn + sharedHead)..<(valueColumn + sharedHead + headWidth)))
                }
            }
        }
    }
}
