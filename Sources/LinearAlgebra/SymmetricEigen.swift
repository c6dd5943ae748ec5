/// Why an eigendecomposition could not be had.
public enum EigenError: Error, Equatable, CustomStringConvertible {
    case notFinite
    case notConverged(order: Int)
    case tooLarge(order: Int, limit: Int)

    public var description: String {
        switch self {
        case .notFinite:
            "the matrix to decompose holds a value that is not finite: the model's activations or gradients overflow"
        case .notConverged(let order):
            "LAPACK did not find the eigenvalues of a \(order) x \(order) matrix: it may hold extreme values"
        case .tooLarge(let order, let limit):
            "a \(order) x \(order) matrix is too large for LAPACK's 32-bit integers, which end at \(limit) rows: a model "
                + "with layers this wide cannot be fitted"
        }
    }
}

/// The eigendecomposition `A = Q diag(values) Qᵀ` of a real symmetric matrix, found in Float64 (``SymmetricEigenSolver``).
public struct SymmetricEigen: Sendable {
    /// Eigenvalues, ascending.
    public let values: [Double]
    /// `Q`: the eigenvectors, in columns in the order of the values.
    public let vectors: Matrix

    /// Takes up a decomposition found before.
    public init(values: [Double], vectors: Matrix) {
        self.values = values
        self.vectors = vectors
    }

    /// Decomposes a symmetric matrix.
    ///
    /// - Parameters:
    ///   - matrix: The whole matrix, row-major, `order · order` values.
    ///   - order: Its number of rows.
    /// - Throws: ``EigenError``.
    public init(of matrix: [Double], order: Int) throws(EigenError) {
        var solver = SymmetricEigenSolver()
        var matrix = matrix
        self = try solver.decomposition(of: &matrix, order: order)
    }
}

/// The eigendecompositions of a symmetric matrix's blocks on the diagonal.
public struct BlockEigen: Sendable {
    /// Eigenvalues, ascending within each block.
    public let values: [Double]
    /// The eigenvectors, in columns in the order of the values.
    public let vectors: BlockDiagonal

    public init(values: [Double], vectors: BlockDiagonal) {
        self.values = values
        self.vectors = vectors
    }

    /// - Parameter blocks: The decompositions of all blocks, from the first row on.
    public init(_ blocks: [SymmetricEigen]) {
        values = blocks.flatMap(\.values)
        vectors = BlockDiagonal(blocks: blocks.map(\.vectors))
    }
}
