import LinearAlgebra

extension LinearLayer {
    /// Adds the tangents of the outputs, `dy = dW x + W dx`, to the columns from the given one on.
    ///
    /// - Parameters:
    ///   - inputs: `x`: tokens × `weight.columns`, the last column 1 where there is a bias.
    ///   - inputTangents: `dx`: tokens × the width without that 1, which does not change; nil where `x` does not change.
    func addTangents(
        along direction: TangentDirection, inputs: Matrix, inputTangents: Matrix?, to outputs: inout Matrix,
        column: Int = 0
    ) {
        if let change = direction[self] {
            outputs.setBlock(
                row: 0, column: column, toProduct: inputs.slice, change.transposed, adding: true)
        }
        if let inputTangents {
            outputs.setBlock(
                row: 0, column: column, toProduct: inputTangents.slice, weight[columns: 0..<inputWidth].transposed,
                adding: true)
        }
    }
}
