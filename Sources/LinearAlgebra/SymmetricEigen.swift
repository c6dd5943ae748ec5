import COpenBLAS

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

/// The eigendecomposition `A = Q diag(values) Qᵀ` of a real symmetric matrix, found in Float64.
public struct SymmetricEigen: Sendable {
    /// Eigenvalues, ascending.
    public let values: [Double]
    /// `Q`: the eigenvectors, in columns in the order of the values.
    public let vectors: Matrix

    /// The largest order whose working space, `1 + 6 order + 2 order²` values, has a count that LAPACK's integers can hold.
    static let largestOrder = 32_766

    /// Takes up a decomposition found before.
    public init(values: [Double], vectors: Matrix) {
        self.values = values
        self.vectors = vectors
    }

    /// Decomposes a symmetric matrix with LAPACK's `dsyevd`.
    ///
    /// - Parameters:
    ///   - matrix: The whole matrix, row-major, `order · order` values.
    ///   - order: Its number of rows.
    /// - Throws: ``EigenError``.
    public init(of matrix: [Double], order: Int) throws {
        precondition(matrix.count == order * order, "not a square matrix")
        guard matrix.allSatisfy(\.isFinite) else { throw EigenError.notFinite }
        guard order <= Self.largestOrder else {
            throw EigenError.tooLarge(order: order, limit: Self.largestOrder)
        }
        guard order > 0 else {
            values = []
            vectors = Matrix()
            return
        }
        var vectors = matrix
        var values = [Double](repeating: 0, count: order)
        var size = Int32(order)
        var status: Int32 = 0
        var workCount: Int32 = -1
        var integerWorkCount: Int32 = -1
        var work: [Double] = [0]
        var integerWork: [Int32] = [0]
        // The first call asks how much room the second needs.
        for _ in 0..<2 {
            dsyevd_(
                "V", "U", &size, &vectors, &size, &values, &work, &workCount, &integerWork, &integerWorkCount, &status)
            guard status == 0 else { throw EigenError.notConverged(order: order) }
            if workCount == -1 {
                workCount = Int32(work[0])
                integerWorkCount = integerWork[0]
                work = [Double](repeating: 0, count: Int(workCount))
                integerWork = [Int32](repeating: 0, count: Int(integerWorkCount))
            }
        }
        // LAPACK stores eigenvectors one after another (column-major); here they are columns of a row-major matrix.
        var columns = Matrix(rows: order, columns: order)
        columns.withMutableSpan { span in
            // In tiles: a column's entries are a row apart, each in another line of the cache.
            let tile = 16
            for first in stride(from: 0, to: order, by: tile) {
                let tiled = first..<min(first + tile, order)
                for entry in 0..<order {
                    for vector in tiled { span[entry * order + vector] = Float(vectors[vector * order + entry]) }
                }
            }
        }
        self.values = values
        self.vectors = columns
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
