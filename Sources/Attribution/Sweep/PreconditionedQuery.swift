import Curvature
import LinearAlgebra

/// One layer of a preconditioned query gradient, `P = (G + λI)⁻¹ grad f` under the layer's EK-FAC factors, out × in:
/// `P = Qs [ (Qsᵀ G Qa) / (Λ + λ) ] Qaᵀ`.
public enum PreconditionedLayer: Sendable {
    /// The best approximation of a rank: `left` (out × rank) times the transpose of `right` (in × rank).
    case lowRank(LowRank)
    case full(Matrix)

    /// Preconditions a layer's gradient, and compresses it if a rank is given.
    ///
    /// The low-rank form is found in the eigenbasis, so that only its two thin factors are rotated back (a rotation changes no
    /// singular value), and not the whole matrix.
    ///
    /// - Parameter damping: `λ`; by default that of the layer.
    /// - Throws: `EigenError` if the gradient is not finite.
    public init(
        _ gradient: QueryGradient.Factors, factors: LayerFactors, damping: Double?, rank: InfluenceQuery.Rank
    ) throws {
        let rotated = factors.rotatedGradient(inputs: gradient.inputs, outputGradients: gradient.outputGradients)
        var preconditioned = Matrix()
        preconditioned.formDampedQuotient(
            rotated, factors.eigenvalues, damping: Float(damping ?? factors.defaultDamping))
        guard case .limited(let rank) = rank else {
            self = .full(factors.unrotated(preconditioned))
            return
        }
        let compressed = try LowRank(approximating: preconditioned, rank: rank)
        var left = Matrix()
        left.formProduct(factors.gradientVectors.slice, compressed.left.slice)
        var right = Matrix()
        right.formProduct(factors.activationVectors.slice, compressed.right.slice)
        self = .lowRank(LowRank(left: left, right: right))
    }

    /// Takes a layer that is preconditioned already, and compresses it if a rank is given.
    ///
    /// - Throws: `EigenError` if it is not finite.
    init(_ preconditioned: Matrix, rank: InfluenceQuery.Rank) throws {
        switch rank {
        case .full: self = .full(preconditioned)
        case .limited(let rank): self = .lowRank(try LowRank(approximating: preconditioned, rank: rank))
        }
    }
}

/// A query ready to be scored against training gradients: one preconditioned matrix a tracked layer.
public struct PreconditionedQuery: Sendable {
    public let layers: [PreconditionedLayer]

    public init(layers: [PreconditionedLayer]) {
        self.layers = layers
    }
}
