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

    /// Writes one of the gradients, out × in.
    public func form(_ index: Int, into gradient: inout Matrix) {
        gradient.formProduct(rotatedOutputGradients[rows: tokens[index]].transposed, rotatedInputs[rows: tokens[index]])
    }
}
