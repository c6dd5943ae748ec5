import COpenBLAS

/// Why an eigendecomposition failed.
public enum EigenError: Error, Equatable, CustomStringConvertible {
    case notFinite
    case notConverged(order: Int)
    case tooLarge(order: Int, limit: Int)

    public var description: String {
        switch self {
        case .notFinite:
            "the matrix to decompose contains a value that is not finite: the model's activations or gradients overflow"
        case .notConverged(let order):
            "LAPACK did not find the eigenvalues of a \(order) x \(order) matrix: the matrix may contain extreme values"
        case .tooLarge(let order, let limit):
            "a \(order) x \(order) matrix is too large for LAPACK's 32-bit integers, which allow \(limit) rows: a model "
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
}

extension SymmetricEigen {
    /// Decomposes a symmetric matrix.
    ///
    /// - Parameter matrix: The whole matrix, row-major, `order · order` values.
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

    /// - Parameter blocks: The decompositions of all blocks, in the order of their rows.
    public init(_ blocks: [SymmetricEigen]) {
        values = blocks.flatMap(\.values)
        vectors = BlockDiagonal(blocks: blocks.map(\.vectors))
    }
}

/// Computes eigendecompositions of real symmetric matrices, one after another in the same memory.
///
/// Reflections `H` bring a matrix to tridiagonal form, `Hᵀ A H`, whose eigenvectors `Z` are found by divide and conquer: LAPACK's
/// `dsytrd` and `dstedc`, in Float64. The eigenvalues are Float64 as well. It remains to compute `Q = H Z`. For larger orders this is done
/// in Float32, the format in which eigenvectors are kept anyway, with products of whole blocks of reflections, `I - V T Vᵀ` (Schreiber &
/// Van Loan 1989). One Newton-Schulz step then restores the orthonormality that rounding has cost.
public struct SymmetricEigenSolver: Sendable {
    /// The largest order for which LAPACK's integers can hold the size of its workspace, `1 + 4 order + order²` values.
    static let largestOrder = 46_338
    /// From this order on, reflections are applied in Float32; below it that would save too little.
    static let leastInBlocks = 256
    /// The number of reflections in a block.
    private static let blockSize = 128
    /// Outside this range, the squares of entries that LAPACK computes could overflow or underflow.
    private static let ordinary = 1e-100...1e100

    /// LAPACK's `tau`, one per reflection `I - tau v vᵀ`.
    private var scalars: [Double] = []
    private var offDiagonal: [Double] = []
    /// `Z`, one eigenvector after another.
    private var tridiagonalVectors: [Double] = []
    private var work: [Double] = []
    private var integerWork: [Int32] = []
    /// `T` of a block, as LAPACK stores it.
    private var triangle: [Double] = []
    /// `Vᵀ`, `-T`, `Vᵀ Z` and `-T Vᵀ Z`.
    private var reflections = Matrix()
    private var negatedTriangle = Matrix()
    private var along = Matrix()
    private var combined = Matrix()

    public init() {}

    /// Decomposes a symmetric matrix.
    ///
    /// - Parameters:
    ///   - matrix: The whole matrix, row-major, in the first `order · order` values. Its contents are unspecified afterwards.
    ///   - order: The number of rows.
    /// - Throws: ``EigenError``.
    public mutating func decomposition(of matrix: inout [Double], order: Int) throws(EigenError) -> SymmetricEigen {
        precondition(matrix.count >= order * order, "\(matrix.count) values for order \(order)")
        guard order <= Self.largestOrder else {
            throw EigenError.tooLarge(order: order, limit: Self.largestOrder)
        }
        guard order > 0 else { return SymmetricEigen(values: [], vectors: Matrix()) }
        let scale = try bringToOrdinarySize(&matrix, order: order)
        var values = [Double](repeating: 0, count: order)
        try decomposeTridiagonal(&matrix, order: order, values: &values)
        if order < Self.leastInBlocks { applyReflections(matrix, order: order) }
        var vectors = transposedTridiagonalVectors(order: order)
        if order >= Self.leastInBlocks {
            applyBlocksOfReflections(matrix, to: &vectors)
            orthonormalize(&vectors)
        }
        if scale != 1 { values = values.map { $0 / scale } }
        return SymmetricEigen(values: values, vectors: vectors)
    }

    /// Scales a matrix of extreme values, and returns the factor; 1 for other matrices.
    private func bringToOrdinarySize(_ matrix: inout [Double], order: Int) throws(EigenError) -> Double {
        let largest = matrix[..<(order * order)].reduce(0) { max($0, $1.magnitude) }
        // A maximum ignores NaN; a sum does not.
        let sum = matrix[..<(order * order)].reduce(0, +)
        guard largest.isFinite, !sum.isNaN else { throw EigenError.notFinite }
        guard largest > 0, !Self.ordinary.contains(largest) else { return 1 }
        let scale = 1 / largest
        for index in 0..<(order * order) { matrix[index] *= scale }
        return scale
    }

    /// Replaces the matrix by the reflections, below its diagonal in LAPACK's order of values.
    private mutating func decomposeTridiagonal(
        _ matrix: inout [Double], order: Int, values: inout [Double]
    ) throws(EigenError) {
        var size = Int32(order)
        var status: Int32 = 0
        scalars.grow(to: order)
        offDiagonal.grow(to: order)
        tridiagonalVectors.grow(to: order * order)
        work.grow(to: max(1 + 4 * order + order * order, 64 * order))
        integerWork.grow(to: 3 + 5 * order)
        var workCount = Int32(clamping: work.count)
        var integerWorkCount = Int32(integerWork.count)
        dsytrd_("L", &size, &matrix, &size, &values, &offDiagonal, &scalars, &work, &workCount, &status)
        guard status == 0 else { throw EigenError.notConverged(order: order) }
        dstedc_(
            "I", &size, &values, &offDiagonal, &tridiagonalVectors, &size, &work, &workCount, &integerWork,
            &integerWorkCount, &status)
        guard status == 0 else { throw EigenError.notConverged(order: order) }
    }

    /// `H Z` in place of `Z`, in Float64.
    private mutating func applyReflections(_ matrix: [Double], order: Int) {
        var size = Int32(order)
        var status: Int32 = 0
        var workCount = Int32(clamping: work.count)
        dormtr_(
            "L", "L", "N", &size, &size, matrix, &size, scalars, &tridiagonalVectors, &size, &work, &workCount, &status)
    }

    /// `Z` row-major, with the eigenvectors in its columns. LAPACK stores them one after another.
    private func transposedTridiagonalVectors(order: Int) -> Matrix {
        var vectors = Matrix(rows: order, columns: order)
        vectors.withMutableSpan { span in
            // In tiles: a column's entries are a row apart, each in a different cache line.
            let tile = 16
            for first in stride(from: 0, to: order, by: tile) {
                let tiled = first..<min(first + tile, order)
                for entry in 0..<order {
                    for vector in tiled {
                        span[entry * order + vector] = Float(tridiagonalVectors[vector * order + entry])
                    }
                }
            }
        }
        return vectors
    }

    /// `H Z` in place of `Z`: each block of reflections turns it into `Z - V (T (Vᵀ Z))`, starting with the last block.
    private mutating func applyBlocksOfReflections(_ matrix: [Double], to vectors: inout Matrix) {
        let order = vectors.rows
        triangle.grow(to: Self.blockSize * Self.blockSize)
        for first in stride(from: 0, to: order - 1, by: Self.blockSize).reversed() {
            let count = min(Self.blockSize, order - 1 - first)
            formBlock(matrix, order: order, first: first, count: count)
            along.formProduct(reflections.slice, vectors[rows: first..<order])  // count × order
            combined.formProduct(negatedTriangle.slice, along.slice)
            vectors.setBlock(
                row: first, column: 0, toProduct: reflections.transposed, combined.slice, adding: true)
        }
    }

    /// Replaces `Q` by `Q - Q (Qᵀ Q - I) / 2`. The difference of `Qᵀ Q` from `I` is then squared, apart from Float32's rounding (Björck &
    /// Bowie 1971).
    ///
    /// Without this step the difference is larger than rounding: `V` and `T` are rounded separately, so that no block is exactly a
    /// reflection, and the difference depends on the processor's order of summation.
    private mutating func orthonormalize(_ vectors: inout Matrix) {
        let order = vectors.rows
        // In Float64: the error of a Float32 sum of this many terms is as large as the difference that is sought.
        let products = vectors.gramInDouble(ofRows: false)
        along.resize(rows: order, columns: order)
        along.withMutableSpan { span in
            for index in 0..<(order * order) { span[index] = Float(products[index]) }
            for index in 0..<order { span[index * order + index] = Float(products[index * order + index] - 1) }
        }
        combined.formProduct(vectors.slice, along.slice)
        vectors.add(combined, scaledBy: -0.5)
    }

    /// `Vᵀ` of some reflections, count × (order - first), and `-T`. Reflection `i` has zeros up to row `i` (kept for the product's
    /// shape), then a one, and then the entries of column `i` of the matrix.
    private mutating func formBlock(_ matrix: [Double], order: Int, first: Int, count: Int) {
        reflections.resize(rows: count, columns: order - first, filledWith: 0)
        let width = order - first
        reflections.withMutableSpan { span in
            for reflection in 0..<count {
                span[reflection * width + reflection + 1] = 1
                let column = (first + reflection) * order + first
                for row in (reflection + 2)..<max(width, reflection + 2) {
                    span[reflection * width + row] = Float(matrix[column + row])
                }
            }
        }
        var rows = Int32(width - 1)
        var columns = Int32(count)
        var stride = Int32(order)
        matrix.withUnsafeBufferPointer { values in
            scalars.withUnsafeBufferPointer { scalars in
                guard let values = values.baseAddress, let scalars = scalars.baseAddress else { return }
                dlarft_(
                    "F", "C", &rows, &columns, values + first * order + first + 1, &stride, scalars + first, &triangle,
                    &columns)
            }
        }
        negatedTriangle.resize(rows: count, columns: count, filledWith: 0)
        negatedTriangle.withMutableSpan { span in
            for row in 0..<count {
                for column in row..<count { span[row * count + column] = -Float(triangle[column * count + row]) }
            }
        }
    }
}

extension Array where Element: Numeric {
    /// Makes the array at least this long. Its values are unspecified afterwards.
    fileprivate mutating func grow(to count: Int) {
        if self.count < count { self = Self(repeating: 0, count: count) }
    }
}
