import LinearAlgebra

/// Some gradients `G = Dᵀ A` of one layer in the eigenbasis of its factors, `Qsᵀ G Qa`, with room that is used again for the next layer.
///
/// The tokens are rotated, those of all gradients at once: `T (in² + out²) + T in out` multiply-adds for T tokens, where rotating `G`
/// itself would take `in out (in + out)`.
public struct RotatedGradients: Sendable {
    /// tokens × in, one gradient's after another's
    private var inputs = Matrix()
    private var rotatedInputs = Matrix()
    /// tokens × out
    private var outputGradients = Matrix()
    private var rotatedOutputGradients = Matrix()
    private var tokens: [Range<Int>] = []

    public init() {}

    /// Rotates the tokens of gradients.
    ///
    /// - Parameter gradients: `A`, tokens × in, and `D`, tokens × out, of each.
    public mutating func rotate(_ gradients: [(inputs: Matrix, outputGradients: Matrix)], factors: LayerFactors) {
        tokens = []
        var end = 0
        for gradient in gradients {
            tokens.append(end..<(end + gradient.inputs.rows))
            end += gradient.inputs.rows
        }
        inputs.resize(rows: end, columns: factors.activationVectors.order)
        outputGradients.resize(rows: end, columns: factors.gradientVectors.order)
        for (gradient, rows) in zip(gradients, tokens) {
            inputs.copy(gradient.inputs.slice, toRow: rows.lowerBound, column: 0)
            outputGradients.copy(gradient.outputGradients.slice, toRow: rows.lowerBound, column: 0)
        }
        rotatedInputs.formProduct(inputs.slice, factors.activationVectors)
        rotatedOutputGradients.formProduct(outputGradients.slice, factors.gradientVectors)
    }

    /// Rows that are formed at a time, so that they are divided while they are in the processor's cache.
    private static let blockRows = 64

    /// Writes one of the gradients divided by the eigenvalues plus the damping, which preconditions it: out × in.
    public func form(_ index: Int, dividedBy eigenvalues: Matrix, damping: Float, into gradient: inout Matrix) {
        let (outputs, tokens) = (rotatedOutputGradients[rows: tokens[index]], tokens[index])
        gradient.resize(rows: outputs.columns, columns: rotatedInputs.columns)
        for start in stride(from: 0, to: outputs.columns, by: Self.blockRows) {
            let rows = start..<min(start + Self.blockRows, outputs.columns)
            gradient.setBlock(
                row: start, column: 0, toProduct: outputs[columns: rows].transposed, rotatedInputs[rows: tokens])
            gradient.divide(rows: rows, by: eigenvalues, damping: damping)
        }
    }
}
