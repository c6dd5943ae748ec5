import LinearAlgebra
import Transformer

/// The inverse of Kronecker-factored curvature, layer by layer: `Qs [ (Qsᵀ V Qa) / (Λ + λ) ] Qaᵀ`.
///
/// Λ is that of EK-FAC (George et al. 2018) or that of K-FAC (Martens and Grosse 2015). The entries of the latter are products of the two
/// covariances' eigenvalues, times the mean number of tokens per sequence, as if tokens were independent.
public struct KroneckerInverse: InverseCurvature {
    private let factors: EKFACFactors
    /// Λ of each layer, out × in.
    private let eigenvalues: [Matrix]
    private let damping: [Double]

    /// EK-FAC, with `damping` for λ in place of ``LayerFactors/defaultDamping`` if given.
    public init(corrected factors: EKFACFactors, damping: Double? = nil) {
        self.factors = factors
        eigenvalues = factors.layers.map(\.eigenvalues)
        self.damping = factors.damping(damping)
    }

    /// EK-FAC with its default damping times a factor.
    public init(corrected factors: EKFACFactors, dampingScale: Double) {
        self.factors = factors
        eigenvalues = factors.layers.map(\.eigenvalues)
        damping = factors.damping().map { dampingScale * $0 }
    }

    /// K-FAC, which does not correct the eigenvalues, with the same damping as EK-FAC.
    ///
    /// - Throws: ``SolveError/unknownTokenCount``.
    public init(uncorrected factors: EKFACFactors, damping: Double? = nil) throws {
        guard let tokens = factors.provenance.tokens, tokens > 0, factors.provenance.sequences > 0 else {
            throw SolveError.unknownTokenCount
        }
        let tokensOfSequence = Double(tokens) / Double(factors.provenance.sequences)
        self.factors = factors
        eigenvalues = factors.layers.map { layer in
            layer.uncorrectedEigenvalues(
                scale: layer.tokens.map { Double($0) / Double(factors.provenance.sequences) } ?? tokensOfSequence)
        }
        self.damping = factors.damping(damping)
    }

    public func solve(_ vectors: [ParameterVector], control: WorkControl<WorkProgress>) throws -> InverseProducts {
        let solved = try vectors.map { vector in
            try control.step()
            return applied(to: vector)
        }
        return InverseProducts(vectors: solved, cost: SolveCost())
    }

    /// The inverse times one vector; zero in layers without curvature.
    package func applied(to vector: ParameterVector) -> ParameterVector {
        ParameterVector(
            layers: vector.layers.indices.map { layer in
                guard factors.layers[layer].hasCurvature else { return factors.layers[layer].zero }
                var quotient = Matrix()
                quotient.formDampedQuotient(
                    factors.layers[layer].rotated(vector.layers[layer]), eigenvalues[layer],
                    damping: Float(damping[layer]))
                return factors.layers[layer].unrotated(quotient)
            })
    }
}

extension LayerFactors {
    /// A matrix in the eigenbasis: `Qsᵀ M Qa`, out × in.
    public func rotated(_ matrix: Matrix) -> Matrix {
        var half = Matrix()
        half.formProduct(gradientVectors, transposed: true, matrix.slice)
        var whole = Matrix()
        whole.formProduct(half.slice, activationVectors)
        return whole
    }

    /// `scale · s_i a_j`, where s and a are the eigenvalues of the two covariances; out × in.
    fileprivate func uncorrectedEigenvalues(scale: Double) -> Matrix {
        // Rounding can leave eigenvalues of a covariance slightly below zero.
        Matrix(
            rows: gradientValues.count, columns: activationValues.count,
            elements: gradientValues.flatMap { s in activationValues.map { Float(scale * max(s, 0) * max($0, 0)) } })
    }
}

/// Rotates several gradients `G = Dᵀ A` of one layer into the eigenbasis of its factors, `Qsᵀ G Qa`, in buffers that are reused for the
/// next layer.
///
/// - Complexity: The tokens of all gradients are rotated at once, which takes `T (in² + out²) + T in out` multiply-adds for T tokens.
///   Rotating each `G` itself would take `in out (in + out)`.
public struct RotatedGradients: Sendable {
    /// tokens × in; the tokens of one gradient follow those of another
    private var inputs = Matrix()
    private var rotatedInputs = Matrix()
    /// tokens × out
    private var outputGradients = Matrix()
    private var rotatedOutputGradients = Matrix()
    private var tokens: [Range<Int>] = []

    public init() {}

    /// - Parameter gradients: The `A`, tokens × in, and `D`, tokens × out, of each gradient.
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

    /// Rows that are formed at a time: they are divided while they are in the processor's cache.
    private static let blockRows = 64

    /// Forms one of the gradients, divided by the eigenvalues plus the damping, which preconditions it: out × in.
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
