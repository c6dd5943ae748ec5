import LinearAlgebra

/// Causal self-attention, in which several query heads can share a key-value head.
public struct Attention: Sendable {
    /// The layers whose outputs, side by side, are queries, keys and values.
    public var inputs: [LinearLayer]
    public var output: LinearLayer
    public var queryNorm: QueryKeyNormalization?
    public var keyNorm: QueryKeyNormalization?
    let layout: AttentionLayout
    /// The factor by which scores are multiplied.
    let scale: Float
    let scoreCap: Float?
    let projectionLimit: Float?
    /// The number of tokens that each token sees, including itself; nil if it sees all earlier ones.
    let window: Int?

    /// The number of query rows in a block, which keeps memory linear in a sequence's length.
    private static let queryBlock = 128

    /// The values of a forward pass that the backward pass needs.
    struct Activations {
        /// tokens × (queries + keys + values), rotated if the model uses rotary positions.
        var projected = Matrix()
        /// The same before clamping, if the model clamps them.
        var unlimited = Matrix()
        var queryNorm = QueryKeyNormalization.Activations()
        var keyNorm = QueryKeyNormalization.Activations()
        /// The keys and values of earlier passes if a text is read in several passes; this pass adds its own.
        var past: PastTokens?
    }

    /// Intermediate results, shared by all blocks.
    struct Scratch {
        /// query rows × keys
        var weights = Matrix()
        var cappedScores = Matrix()
        var weightGradients = Matrix()
        /// tokens × queries: the weighted values of all heads, and a column of ones if the output layer has a bias. The backward pass
        /// computes them again if they are needed, which saves keeping them for every block.
        var mixed = Matrix()
        /// tokens × queries
        var mixedGradients = Matrix()
        /// tokens × (queries + keys + values)
        var projectedGradients = Matrix()
        var norm = QueryKeyNormalization.Scratch()
        var adapter = LinearAdapter.Scratch()
    }

    init(
        _ description: DecoderDescription, layer: Int, inputs: [LinearLayer], output: LinearLayer,
        queryNorm: Normalization?, keyNorm: Normalization?
    ) {
        self.inputs = inputs
        self.output = output
        let options = description.attention
        let normKind = options.queryKeyNorm ?? .perHead
        self.queryNorm = queryNorm.map { QueryKeyNormalization(norm: $0, kind: normKind) }
        self.keyNorm = keyNorm.map { QueryKeyNormalization(norm: $0, kind: normKind) }
        layout = AttentionLayout(description)
        scale = options.scale ?? 1 / Float(description.headWidth).squareRoot()
        scoreCap = options.scoreCap
        projectionLimit = options.projectionLimit
        window = description.window(ofLayer: layer)
    }

    /// Writes attention's outputs to the residual stream or adds them to it.
    func forward(
        _ normalized: Matrix, batch: TokenBatch, rotary: RotaryTable?, activations: inout Activations,
        scratch: inout Scratch, to residual: inout Matrix, adding: Bool
    ) {
        project(normalized, &activations)
        for vectors in [layout.queries, layout.keys] {
            rotary?.apply(to: &activations.projected, vectors, positions: batch.positions)
        }
        prepareMixed(rows: normalized.rows, &scratch)
        let earlier = activations.past?.count ?? 0
        activations.past?.append(activations.projected, layout)
        forEachBlock(of: batch, after: earlier, in: activations.past?.layout ?? layout) { block in
            attend(
                block,
                to: Parts(
                    queriesOf: activations.projected,
                    keysAndValuesOf: activations.past?.keysAndValues ?? activations.projected, block), scratch: &scratch
            )
        }
        output.forward(scratch.mixed, to: &residual, adding: adding)
    }

    /// Computes the weighted values of a block's queries.
    private func attend(_ block: Block, to parts: Parts, scratch: inout Scratch) {
        scratch.weights.formProduct(parts.queries, parts.keys.transposed)
        if let scoreCap { scratch.weights.applySoftCap(scoreCap, scale: scale) }
        applySoftmax(to: &scratch.weights, block)
        mix(parts.values, of: block, scratch: &scratch)
    }

    func prepareMixed(rows: Int, _ scratch: inout Scratch) {
        scratch.mixed.resize(rows: rows, columns: output.weight.columns)
        if output.hasBias { scratch.mixed.fillColumn(output.inputWidth, with: 1) }
    }

    /// Multiplies the values of a block's keys by the weights that were computed last.
    func mix(_ values: MatrixSlice, of block: Block, scratch: inout Scratch) {
        scratch.mixed.setBlock(
            row: block.queries.lowerBound, column: block.mixedColumns.lowerBound, toProduct: scratch.weights.slice,
            values)
    }

    private func project(_ normalized: Matrix, _ activations: inout Activations) {
        activations.projected.resize(rows: normalized.rows, columns: layout.width)
        var column = 0
        for layer in inputs {
            layer.forward(normalized, into: &activations.projected, column: column)
            column += layer.outputWidth
        }
        if let projectionLimit {
            activations.unlimited.copyValues(of: activations.projected)
            activations.projected.clamp(to: projectionLimit)
        }
        queryNorm?.forward(&activations.projected, layout.queries, activations: &activations.queryNorm)
        keyNorm?.forward(&activations.projected, layout.keys, activations: &activations.keyNorm)
    }

    /// Computes the gradients of the normalised inputs, given those of attention's outputs.
    func backward<Tap: GradientTap>(
        _ outputGradients: Matrix, normalized: Matrix, batch: TokenBatch, rotary: RotaryTable?,
        activations: Activations, scratch: inout Scratch, into normalizedGradients: inout Matrix,
        tracked: TrackedLayers, tap: inout Tap
    ) {
        let isOutputTracked = tracked.contains(output)
        if isOutputTracked { prepareMixed(rows: normalized.rows, &scratch) }
        scratch.mixedGradients.resize(rows: normalized.rows, columns: output.inputWidth)
        output.backward(outputGradients.slice, into: &scratch.mixedGradients, adding: false)
        scratch.projectedGradients.resize(rows: normalized.rows, columns: layout.width, filledWith: 0)
        forEachBlock(of: batch) { block in
            attendBackward(
                block, from: Parts(of: activations.projected, block), scratch: &scratch, mixing: isOutputTracked)
        }
        if isOutputTracked {
            tracked.offer(
                output, inputs: scratch.mixed.slice, outputGradients: outputGradients.slice, batch, &scratch.adapter,
                to: &tap)
        }
        for vectors in [layout.queries, layout.keys] {
            rotary?.apply(to: &scratch.projectedGradients, vectors, positions: batch.positions, isInverse: true)
        }
        queryNorm?.backward(
            &scratch.projectedGradients, layout.queries, activations: activations.queryNorm, scratch: &scratch.norm,
            tap: &tap)
        keyNorm?.backward(
            &scratch.projectedGradients, layout.keys, activations: activations.keyNorm, scratch: &scratch.norm,
            tap: &tap)
        if let projectionLimit {
            scratch.projectedGradients.applyClampGradient(inputs: activations.unlimited, limit: projectionLimit)
        }
        normalizedGradients.resize(rows: normalized.rows, columns: inputs.first?.inputWidth ?? 0)
        var column = 0
        for layer in inputs {
            let gradients = scratch.projectedGradients[columns: column..<(column + layer.outputWidth)]
            tracked.offer(
                layer, inputs: normalized.slice, outputGradients: gradients, batch, &scratch.adapter, to: &tap)
            layer.backward(gradients, into: &normalizedGradients, adding: column > 0)
            column += layer.outputWidth
        }
    }

    /// Adds a block's part of the gradients of the projected queries, keys and values.
    ///
    /// - Parameter mixing: Whether to compute the weighted values as well.
    private func attendBackward(_ block: Block, from parts: Parts, scratch: inout Scratch, mixing: Bool) {
        let mixedGradients = scratch.mixedGradients[rows: block.queries, columns: block.mixedColumns]
        // The weights are computed again: keeping them would take memory quadratic in the length.
        scratch.weights.formProduct(parts.queries, parts.keys.transposed)
        if let scoreCap {
            scratch.weights.applySoftCap(scoreCap, scale: scale)
            scratch.cappedScores.copyValues(of: scratch.weights)
        }
        applySoftmax(to: &scratch.weights, block)
        if mixing { mix(parts.values, of: block, scratch: &scratch) }
        scratch.projectedGradients.setBlock(
            row: block.keys.lowerBound, column: block.valueColumns.lowerBound,
            toProduct: scratch.weights.transposed, mixedGradients, adding: true)
        scratch.weightGradients.formProduct(mixedGradients, parts.values.transposed)
        scratch.weightGradients.applySoftmaxGradient(probabilities: scratch.weights, scale: softmaxScale)
        if let scoreCap {
            scratch.weightGradients.applySoftCapGradient(capped: scratch.cappedScores, cap: scoreCap, scale: scale)
        }
        scratch.projectedGradients.setBlock(
            row: block.queries.lowerBound, column: block.queryColumns.lowerBound,
            toProduct: scratch.weightGradients.slice, parts.keys)
        scratch.projectedGradients.setBlock(
            row: block.keys.lowerBound, column: block.keyColumns.lowerBound,
            toProduct: scratch.weightGradients.transposed, parts.queries, adding: true)
    }

    /// 1 if there is a cap, which applies to scores that are already scaled.
    var softmaxScale: Float { scoreCap == nil ? scale : 1 }

    func applySoftmax(to scores: inout Matrix, _ block: Block) {
        scores.applyCausalSoftmax(scale: softmaxScale, firstLimit: block.firstLimit, window: window)
    }

    /// Query rows of one head and sequence, and the keys that any of them sees.
    struct Block {
        let queries: Range<Int>
        /// Rows of the matrix that holds keys and values.
        let keys: Range<Int>
        /// The number of these keys up to and including the first query row's own.
        let firstLimit: Int
        let queryColumns: Range<Int>
        let keyColumns: Range<Int>
        let valueColumns: Range<Int>
        let mixedColumns: Range<Int>
    }

    struct Parts {
        let queries: MatrixSlice
        let keys: MatrixSlice
        let values: MatrixSlice

        init(of projected: Matrix, _ block: Block) {
            self.init(queriesOf: projected, keysAndValuesOf: projected, block)
        }

        init(queriesOf projected: Matrix, keysAndValuesOf source: Matrix, _ block: Block) {
            queries = projected[rows: block.queries, columns: block.queryColumns]
            keys = source[rows: block.keys, columns: block.keyColumns]
            values = source[rows: block.keys, columns: block.valueColumns]
        }
    }

    func forEachBlock(of batch: TokenBatch, _ body: (Block) -> Void) {
        forEachBlock(of: batch, after: 0, in: layout, body)
    }

    /// - Parameters:
    ///   - earlier: The number of rows of keys and values from earlier passes over the same text.
    ///   - source: The layout of the matrix that holds keys and values.
    private func forEachBlock(
        of batch: TokenBatch, after earlier: Int, in source: AttentionLayout, _ body: (Block) -> Void
    ) {
        let width = layout.queries.width
        for sequence in batch.sequences {
            for head in 0..<layout.queries.count {
                let sharedHead = layout.sharedHead(of: head)
                for start in stride(from: sequence.lowerBound, to: sequence.upperBound, by: Self.queryBlock) {
                    let end = min(start + Self.queryBlock, sequence.upperBound)
                    let firstKey = max(sequence.lowerBound, window.map { earlier + start - $0 + 1 } ?? 0)
                    body(
                        Block(
                            queries: start..<end, keys: firstKey..<(earlier + end),
                            firstLimit: earlier + start - firstKey + 1,
                            queryColumns: layout.queries.columns(of: head),
                            keyColumns: source.keys.columns(of: sharedHead),
                            valueColumns: source.values.columns(of: sharedHead),
                            mixedColumns: (head * width)..<((head + 1) * width)))
                }
            }
        }
    }
}
