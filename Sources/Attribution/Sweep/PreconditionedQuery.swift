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
        self = try preconditioning.preconditioned([asked], factors: factors)[0].get()
    }

    /// A matrix, compressed if a rank is given.
    ///
    /// - Returns: An `EigenError` if it is not finite.
    static func compressed(_ matrix: Matrix, rank: InfluenceQuery.Rank) -> Result<PreconditionedLayer, EigenError> {
        guard matrix.isFinite else { return .failure(.notFinite) }
        guard case .limited(let rank) = rank else { return .success(.full(matrix)) }
        return Result { () throws(EigenError) in .lowRank(try LowRank(approximating: matrix, rank: rank)) }
    }
}

/// A query ready to be scored against training gradients: one preconditioned matrix a tracked layer.
public struct PreconditionedQuery: Sendable {
    public let layers: [PreconditionedLayer]

    public init(layers: [PreconditionedLayer]) {
        self.layers = layers
    }
}
