import LinearAlgebra

/// A linear layer `y = W x`. A bias, if any, is the last column of `W`, for which a 1 is appended to `x`.
public struct LinearLayer: Sendable {
    /// The module's name in the checkpoint, without ".weight".
    public let name: String
    /// outputs × inputs, with one more column if there is a bias.
    public var weight: Matrix
    public let hasBias: Bool
    /// The low-rank change that ``weight`` includes, if there is one.
    public internal(set) var adapter: LinearAdapter?
    /// The weight in half precision, which products use instead if it is set. Changes of ``weight`` do not update it.
    private(set) var half: HalfMatrix?

    /// The same layer with products in half precision.
    var inHalfPrecision: LinearLayer {
        var layer = self
        layer.half = HalfMatrix(weight)
        return layer
    }

    /// The width of the inputs without the 1 appended for a bias.
    var inputWidth: Int { weight.columns - (hasBias ? 1 : 0) }
    var outputWidth: Int { weight.rows }

    /// Writes `x Wᵀ` into the columns of `outputs` from `column` on.
    ///
    /// - Parameter inputs: tokens × `weight.columns`; the last column is 1 if there is a bias.
    func forward(_ inputs: Matrix, into outputs: inout Matrix, column: Int) {
        outputs.setBlock(row: 0, column: column, toProduct: inputs.slice, factor.transposed)
    }

    /// Writes `x Wᵀ`, or adds it.
    func forward(_ inputs: Matrix, to outputs: inout Matrix, adding: Bool) {
        if adding {
            outputs.addProduct(inputs.slice, factor.transposed)
        } else {
            outputs.formProduct(inputs.slice, factor.transposed)
        }
    }

    /// Writes `D W` or adds it: the gradient with respect to the inputs, without the appended 1.
    func backward(_ outputGradients: MatrixSlice, into inputGradients: inout Matrix, adding: Bool) {
        inputGradients.setBlock(
            row: 0, column: 0, toProduct: outputGradients, factor(columns: 0..<inputWidth), adding: adding)
    }

    /// The weight as products use it.
    private var factor: Factor { factor(columns: 0..<weight.columns) }

    private func factor(columns: Range<Int>) -> Factor {
        half.map { .half($0[columns: columns]) } ?? .single(weight[columns: columns])
    }
}

/// The linear layers of a model whose gradients are consumed, from the first block to the last.
public struct TrackedLayers: Sendable, Equatable {
    public let selection: LayerSelection
    public let layers: [TrackedLayer]
    /// The index of the first block that has a tracked layer.
    let lowestBlock: Int
    /// Whether a layer of attention is tracked in that block.
    let reachesAttention: Bool
    private let byName: [String: Int]

    init(_ layers: [TrackedLayer], selection: LayerSelection, lowestBlock: Int, reachesAttention: Bool) {
        self.selection = selection
        self.layers = layers
        self.lowestBlock = lowestBlock
        self.reachesAttention = reachesAttention
        byName = Dictionary(uniqueKeysWithValues: layers.map { ($0.name, $0.index) })
    }

    /// The tracked layer with a name, if there is one.
    public subscript(name: String) -> TrackedLayer? { byName[name].map { layers[$0] } }

    /// Whether anything of a layer is tracked: its weight, or the matrices of its adapter.
    func contains(_ layer: LinearLayer) -> Bool {
        byName[layer.name] != nil || layer.adapter.map { byName[$0.downName] != nil } ?? false
    }

    /// Passes a layer's inputs and output gradients to the tap if the layer is tracked, and those of its adapter if that is.
    ///
    /// - Parameter positions: As ``LayerPass/positions``.
    func offer<Tap: GradientTap>(
        _ layer: LinearLayer, inputs: MatrixSlice, outputGradients: MatrixSlice, _ batch: TokenBatch,
        positions: [Int]? = nil, _ scratch: inout LinearAdapter.Scratch, to tap: inout Tap
    ) {
        if let tracked = self[layer.name] {
            tap.record(
                LayerPass(
                    layer: tracked, inputs: inputs, outputGradients: outputGradients, batch: batch,
                    positions: positions))
        }
        offer(
            adapterOf: layer, inputs: inputs, outputGradients: outputGradients, batch, positions: positions, &scratch,
            to: &tap)
    }
}
