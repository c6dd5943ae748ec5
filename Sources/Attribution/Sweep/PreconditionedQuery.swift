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
    /// - Parameter damping: `λ`; by default that of the layer.
    /// - Throws: `EigenError` if the gradient is not finite.
    public init(
        _ gradient: QueryGradient.Factors, factors: LayerFactors, damping: Double?, rank: InfluenceQuery.Rank
    ) throws {
        var preconditioning = LayerPreconditioning()
        let asked = LayerPreconditioning.Gradient(gradient, damping: damping, rank: rank)
        self = try preconditioning.preconditioned([asked], factors: factors)[0]
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
