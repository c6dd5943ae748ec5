import LinearAlgebra

/// A low-rank change of a linear layer (Hu et al. 2021): `y = W x + s B (A x)`.
///
/// The layer's own weight already includes `s B A`; the two matrices are kept for their gradients. For an output gradient `d`, the layer
/// B has the inputs `A x` and the output gradient `s d`, and the layer A the inputs `x` and the output gradient `s Bᵀ d`.
public struct LinearAdapter: Sendable {
    /// The names of A and B among tracked layers: the module's name with `.lora_A` and `.lora_B`.
    public let downName: String
    public let upName: String
    /// `A`: rank × in. The 1 that is appended to the layer's inputs for a bias does not count.
    public var down: Matrix
    /// `B`: out × rank, with one more column if it has a bias.
    public var up: Matrix
    /// Whether the last column of B is a bias, for which a 1 is appended to `A x`.
    public let hasBias: Bool
    /// `s`
    public let scale: Float

    /// The matrices of the gradients, reused from layer to layer.
    struct Scratch {
        /// tokens × rank, and a column of ones if B has a bias: `A x`.
        var reduced = Matrix()
        /// tokens × out: `s d`.
        var scaled = Matrix()
        /// tokens × rank: `s Bᵀ d`.
        var reducedGradients = Matrix()
    }

    init(of module: String, down: Matrix, up: Matrix, hasBias: Bool, scale: Float) {
        downName = module + ".lora_A"
        upName = module + ".lora_B"
        self.down = down
        self.up = up
        self.hasBias = hasBias
        self.scale = scale
    }

    var rank: Int { down.rows }

    /// `s B A`: out × `columns`. The last column is the scaled bias of B if there is one; other columns beyond A's are zero.
    func product(columns: Int) -> Matrix {
        var product = Matrix(rows: up.rows, columns: columns)
        product.setBlock(row: 0, column: 0, toProduct: up[columns: 0..<rank], down.slice, scale: scale)
        if hasBias {
            var bias = Matrix(up[columns: rank..<(rank + 1)])
            bias.scale(by: scale)
            product.copy(bias.slice, toRow: 0, column: columns - 1)
        }
        return product
    }

    /// The change of ``product(columns:)`` along changes of both matrices, to first order: `s (dB A + B dA)`.
    func productTangent(down downChange: Matrix, up upChange: Matrix, columns: Int) -> Matrix {
        var changed = self
        changed.up = upChange
        var tangent = changed.product(columns: columns)
        tangent.setBlock(
            row: 0, column: 0, toProduct: up[columns: 0..<rank], downChange.slice, scale: scale, adding: true)
        return tangent
    }
}

extension TrackedLayers {
    /// Passes the inputs and output gradients of an adapter's two matrices to the tap if they are tracked.
    ///
    /// - Parameters:
    ///   - inputs: The layer's, with the 1 for its bias if it has one.
    ///   - positions: As ``LayerPass/positions``.
    func offer<Tap: GradientTap>(
        adapterOf layer: LinearLayer, inputs: MatrixSlice, outputGradients: MatrixSlice, _ batch: TokenBatch,
        positions: [Int]?, _ scratch: inout LinearAdapter.Scratch, to tap: inout Tap
    ) {
        guard let adapter = layer.adapter, let down = self[adapter.downName], let up = self[adapter.upName] else {
            return
        }
        let inputs = inputs[columns: 0..<layer.inputWidth]
        scratch.reduced.resize(rows: inputs.rows, columns: adapter.up.columns)
        scratch.reduced.setBlock(row: 0, column: 0, toProduct: inputs, adapter.down.transposed)
        if adapter.hasBias { scratch.reduced.fillColumn(adapter.rank, with: 1) }
        scratch.scaled.resize(rows: outputGradients.rows, columns: outputGradients.columns)
        scratch.scaled.copy(outputGradients, toRow: 0, column: 0)
        scratch.scaled.scale(by: adapter.scale)
        scratch.reducedGradients.formProduct(scratch.scaled.slice, adapter.up[columns: 0..<adapter.rank])
        tap.record(
            LayerPass(
                layer: up, inputs: scratch.reduced.slice, outputGradients: scratch.scaled.slice, batch: batch,
                positions: positions))
        tap.record(
            LayerPass(
                layer: down, inputs: inputs, outputGradients: scratch.reducedGradients.slice, batch: batch,
                positions: positions))
    }
}
