import Curvature
import LinearAlgebra

/// One layer of a preconditioned query gradient, `P = (G + λI)⁻¹ grad f` under the layer's EK-FAC factors, out × in:
/// `P = Qs [ (Qsᵀ G Qa) / (Λ + λ) ] Qaᵀ`. In the second equation, G is the layer's gradient, not the Gauss-Newton matrix.
public enum PreconditionedLayer: Sendable {
    /// A nearly optimal approximation of the rank: `left` (out × rank) times the transpose of `right` (in × rank).
    case lowRank(LowRank)
    case full(Matrix)

    /// Preconditions a layer's gradient, and compresses it if a rank is given.
    ///
    /// - Parameter damping: `λ`; nil for the layer's own.
    /// - Throws: `EigenError` if the gradient is not finite.
    public init(
        _ gradient: QueryGradient.Factors, factors: LayerFactors, damping: Double?, rank: InfluenceQuery.Rank
    ) throws {
        var preconditioning = LayerPreconditioning()
        let asked = LayerPreconditioning.Gradient(gradient, damping: damping, rank: rank)
        self = try preconditioning.preconditioned([asked], factors: factors)[0].get()
    }

    /// Compresses a matrix if a rank is given; an `EigenError` if the matrix is not finite.
    static func compressed(_ matrix: Matrix, rank: InfluenceQuery.Rank) -> Result<PreconditionedLayer, EigenError> {
        guard matrix.isFinite else { return .failure(.notFinite) }
        return Result { () throws(EigenError) in
            switch rank {
            case .full: .full(matrix)
            case .limited(let rank): .lowRank(try LowRank(approximating: matrix, rank: rank))
            case .faithful:
                .lowRank(
                    try LowRank(approximating: matrix, rank: InfluenceQuery.Rank.mostFaithful)
                        .truncated(toLose: InfluenceQuery.Rank.lostShare, of: matrix))
            }
        }
    }
}

/// A query, ready to be scored against training gradients: one preconditioned matrix per tracked layer.
public struct PreconditionedQuery: Sendable {
    public let layers: [PreconditionedLayer]

    /// The largest rank of a layer; nil if none is compressed.
    var rank: Int? {
        layers.compactMap { if case .lowRank(let factors) = $0 { factors.rank } else { nil } }.max()
    }

    public init(layers: [PreconditionedLayer]) {
        self.layers = layers
    }
}

/// Preconditions one layer's gradients of several queries together, and compresses them, in buffers that are reused for the next layer.
///
/// All queries share the rotations into the eigenbasis and back, which are products with the layer's eigenvectors: one product of many rows
/// reads these once. The low-rank form is found in the eigenbasis, as rotations change no singular value, and only its two thin factors are
/// rotated back.
public struct LayerPreconditioning: Sendable {
    /// One query's gradient, with its damping and rank.
    public struct Gradient: Sendable {
        let factors: QueryGradient.Factors
        let damping: Double?
        let rank: InfluenceQuery.Rank

        /// - Parameter damping: `λ`; nil for the layer's own.
        public init(_ factors: QueryGradient.Factors, damping: Double?, rank: InfluenceQuery.Rank) {
            self.factors = factors
            self.damping = damping
            self.rank = rank
        }
    }

    /// The most rows that are rotated at a time, unless a single query has more.
    private static let mostTokens = 1_024

    private var rotated = RotatedGradients()
    private var preconditioned = Matrix()

    public init() {}

    /// Preconditions gradients. The results are zero if the layer has no curvature.
    ///
    /// - Parameter step: Called before each gradient; what it throws ends the work.
    /// - Returns: In order, the layer of each query, or an `EigenError` if it is not finite.
    public mutating func preconditioned(
        _ gradients: [Gradient], factors: LayerFactors, step: () throws -> Void = {}
    ) throws -> [Result<PreconditionedLayer, EigenError>] {
        guard factors.hasCurvature else {
            return gradients.map { .success(.zero(factors, isLowRank: $0.rank != .full)) }
        }
        var layers: [Result<PreconditionedLayer, EigenError>] = []
        var next = 0
        while next < gradients.count {
            let group = gradients[next...].prefix(upToTokens: Self.mostTokens)
            rotated.rotate(
                group.map { ($0.factors.inputs, $0.factors.outputGradients) }, factors: factors)
            for (index, gradient) in group.enumerated() {
                try step()
                // As in an expert to which no token of the query goes. A zero matrix has no directions to compress.
                if gradient.factors.outputGradients.squaredNorm == 0 {
                    layers.append(.success(.zero(factors, isLowRank: gradient.rank != .full)))
                    continue
                }
                rotated.form(
                    index, dividedBy: factors.eigenvalues,
                    damping: Float(gradient.damping ?? factors.defaultDamping), into: &preconditioned)
                // Thin factors stay in the eigenbasis until all are rotated back together.
                let isWhole = gradient.rank == .full && preconditioned.isFinite
                layers.append(
                    PreconditionedLayer.compressed(
                        isWhole ? factors.unrotated(preconditioned) : preconditioned, rank: gradient.rank))
            }
            next = group.endIndex
        }
        return layers.rotatingThinFactorsBack(factors)
    }
}

extension PreconditionedLayer {
    /// The result for a layer without curvature, or without a gradient.
    fileprivate static func zero(_ factors: LayerFactors, isLowRank: Bool) -> PreconditionedLayer {
        guard isLowRank else { return .full(factors.zero) }
        let (outputs, inputs) = (factors.eigenvalues.rows, factors.eigenvalues.columns)
        return .lowRank(
            LowRank(left: Matrix(rows: outputs, columns: 1).slice, right: Matrix(rows: inputs, columns: 1).slice))
    }
}

extension ArraySlice<LayerPreconditioning.Gradient> {
    /// The first gradients that have at most this many tokens together, but at least one gradient.
    fileprivate func prefix(upToTokens most: Int) -> Self {
        var tokens = 0
        let end = indices.first { index in
            tokens += self[index].factors.inputs.rows
            return tokens > most && index > startIndex
        }
        return self[startIndex..<(end ?? endIndex)]
    }
}

extension [Result<PreconditionedLayer, EigenError>] {
    /// Rotates all thin factors from the eigenbasis back into the layer's own coordinates. They become slices of two matrices.
    fileprivate func rotatingThinFactorsBack(_ factors: LayerFactors) -> Self {
        let thin = compactMap { $0.lowRank }
        guard !thin.isEmpty else { return self }
        let left = Matrix.rotated(thin.map(\.left), by: factors.gradientVectors)
        let right = Matrix.rotated(thin.map(\.right), by: factors.activationVectors)
        var column = 0
        return map { layer in
            guard let rank = layer.lowRank?.rank else { return layer }
            defer { column += rank }
            let columns = column..<(column + rank)
            return .success(.lowRank(LowRank(left: left[columns: columns], right: right[columns: columns])))
        }
    }
}

extension Result<PreconditionedLayer, EigenError> {
    fileprivate var lowRank: LowRank? { (try? get())?.lowRank }
}

extension Matrix {
    /// Eigenvectors times several matrices, whose products are side by side in the result.
    fileprivate static func rotated(_ matrices: [MatrixSlice], by vectors: BlockDiagonal) -> Matrix {
        var joined = Matrix(rows: vectors.order, columns: matrices.reduce(0) { $0 + $1.columns })
        var column = 0
        for matrix in matrices {
            joined.copy(matrix, toRow: 0, column: column)
            column += matrix.columns
        }
        var rotated = Matrix()
        rotated.formProduct(vectors, joined.slice)
        return rotated
    }
}
