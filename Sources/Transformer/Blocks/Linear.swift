import LinearAlgebra

/// A linear layer `y = W x`, its bias, if any, the last column of `W` against a 1 appended to `x`.
public struct LinearLayer: Sendable {
    /// The module's name in the checkpoint, without ".weight".
    public let name: String
    /// outputs × inputs, one more column where there is a bias.
    public var weight: Matrix
    public let hasBias: Bool
    /// The weight in half precision, which then takes part in products in its place; not kept in step with it.
    private(set) var half: HalfMatrix?

    init(name: String, weight: Matrix, hasBias: Bool) {
        self.name = name
        self.weight = weight
        self.hasBias = hasBias
    }

    /// The same layer with products in half precision.
    var inHalfPrecision: LinearLayer {
        var layer = self
        layer.half = HalfMatrix(weight)
        return layer
    }

    /// Width of the inputs, without the 1 appended for a bias.
    var inputWidth: Int { weight.columns - (hasBias ? 1 : 0) }
    var outputWidth: Int { weight.rows }

    /// Writes `x Wᵀ` into the columns of `outputs` from the given one on.
    ///
    /// - Parameter inputs: tokens × `weight.columns`; the last column is 1 where there is a bias.
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

    /// Adds `D W`, or sets it: the gradient with respect to the inputs, without the appended 1.
    func backward(_ outputGradients: MatrixSlice, into inputGradients: inout Matrix, adding: Bool) {
        inputGradients.setBlock(
            row: 0, column: 0, toProduct: outputGradients, factor(columns: 0..<inputWidth), adding: adding)
    }

    /// The weight, as it takes part in products.
    private var factor: Factor { factor(columns: 0..<weight.columns) }

    private func factor(columns: Range<Int>) -> Factor {
        half.map { .half($0[columns: columns]) } ?? .single(weight[columns: columns])
    }
}
