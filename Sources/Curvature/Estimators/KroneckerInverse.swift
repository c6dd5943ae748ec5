import LinearAlgebra
import Transformer

/// The inverse of Kronecker-factored curvature, layer by layer: `Qs [ (Qsᵀ V Qa) / (Λ + λ) ] Qaᵀ`.
///
/// Λ is that of EK-FAC (George et al. 2018), or K-FAC's own (Martens and Grosse 2015): the products of the two covariances'
/// eigenvalues, times the mean number of tokens of a sequence, for which tokens are taken to be independent.
public struct KroneckerInverse: InverseCurvature {
    private let factors: EKFACFactors
    /// Λ of each layer, out × in.
    private let eigenvalues: [Matrix]
    private let damping: [Double]

    /// EK-FAC.
    ///
    /// - Parameter damping: λ in place of ``LayerFactors/defaultDamping``.
    public init(corrected factors: EKFACFactors, damping: Double? = nil) {
        self.factors = factors
        eigenvalues = factors.layers.map(\.eigenvalues)
        self.damping = factors.damping(damping)
    }

    /// EK-FAC with the damping that it usually has, times a factor.
    public init(corrected factors: EKFACFactors, dampingScale: Double) {
        self.factors = factors
        eigenvalues = factors.layers.map(\.eigenvalues)
        damping = factors.damping().map { dampingScale * $0 }
    }

    /// K-FAC, without the correction of the eigenvalues, with the very same damping.
    ///
    /// - Throws: ``SolveError/unknownTokenCount``.
    public init(uncorrected factors: EKFACFactors, damping: Double? = nil) throws {
        guard let tokens = factors.provenance.tokens, tokens > 0, factors.provenance.sequences > 0 else {
            throw SolveError.unknownTokenCount
        }
        let tokensOfSequence = Double(tokens) / Double(factors.provenance.sequences)
        self.factors = factors
        eigenvalues = factors.layers.map { $0.uncorrectedEigenvalues(scale: tokensOfSequence) }
        self.damping = factors.damping(damping)
    }

    public func solve(_ vectors: [ParameterVector], control: SolveControl) throws -> InverseProducts {
        let solved = try vectors.map { vector in
            try control.step()
            return applied(to: vector)
        }
        return InverseProducts(vectors: solved, cost: SolveCost())
    }

    /// The inverse times one vector; zero in layers without curvature.
    func applied(to vector: ParameterVector) -> ParameterVector {
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

    /// `scale · s_i a_j`, s and a the eigenvalues of the two covariances; out × in.
    fileprivate func uncorrectedEigenvalues(scale: Double) -> Matrix {
        // Rounding may leave eigenvalues of a covariance a little below zero.
        Matrix(
            rows: gradientValues.count, columns: activationValues.count,
            elements: gradientValues.flatMap { s in activationValues.map { Float(scale * max(s, 0) * max($0, 0)) } })
    }
}
