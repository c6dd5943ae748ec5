import Curvature
import LinearAlgebra

/// Preconditions one layer's gradients of several queries together, and compresses them, with room that is used again for the next
/// layer.
///
/// What all share, the rotations into the eigenbasis and back, are products with the layer's eigenvectors: one product of many rows
/// reads them once. The low-rank form is found in the eigenbasis, so that only its two thin factors are rotated back (a rotation changes
/// no singular value), and not the whole matrix.
public struct LayerPreconditioning: Sendable {
    /// One query's gradient, and how it is to be preconditioned.
    public struct Gradient: Sendable {
        let factors: QueryGradient.Factors
        let damping: Double?
        let rank: InfluenceQuery.Rank

        /// - Parameter damping: `λ`; by default that of the layer.
        public init(_ factors: QueryGradient.Factors, damping: Double?, rank: InfluenceQuery.Rank) {
            self.factors = factors
            self.damping = damping
            self.rank = rank
        }
    }

    /// Rows that are rotated at a time, at most, but for a single query's.
    private static let mostTokens = 1_024

    private var rotated = RotatedGradients()
    private var preconditioned = Matrix()

    public init() {}

    /// The gradients, preconditioned, in order: all zero if the layer has no curvature.
    ///
    /// - Parameter step: Called before each; what it throws ends the work.
    /// - Returns: For each its layer, or an `EigenError` if that is not finite.
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
                rotated.form(
                    index, dividedBy: factors.eigenvalues,
                    damping: Float(gradient.damping ?? factors.defaultDamping), into: &preconditioned)
                // In its thin factors it stays in the eigenbasis for now.
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
    /// That of a layer without curvature.
    fileprivate static func zero(_ factors: LayerFactors, isLowRank: Bool) -> PreconditionedLayer {
        guard isLowRank else { return .full(factors.zero) }
        let (outputs, inputs) = (factors.eigenvalues.rows, factors.eigenvalues.columns)
        return .lowRank(
            LowRank(left: Matrix(rows: outputs, columns: 1).slice, right: Matrix(rows: inputs, columns: 1).slice))
    }
}

extension ArraySlice<LayerPreconditioning.Gradient> {
    /// The first few that have no more tokens together, at least one.
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
    /// The same with the thin factors of all that have such, which are given in the eigenbasis, in the layer's own coordinates. They are
    /// parts of two matrices, side by side.
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
    /// Eigenvectors times matrices side by side.
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
