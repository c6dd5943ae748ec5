import COpenBLAS

/// Finds eigendecompositions of real symmetric matrices, one after another in the same room.
///
/// Reflections `H` take a matrix to tridiagonal form, `Hᵀ A H`, whose eigenvectors `Z` are found by divide and conquer: LAPACK's
/// `dsytrd` and `dstedc`, in Float64, as the eigenvalues are. `Q = H Z` remains. For larger orders it is found in Float32, in which
/// eigenvectors are kept in any case: as products of whole blocks of reflections, `I - V T Vᵀ` (Schreiber & Van Loan 1989). What rounding
/// has then cost of their being orthonormal, one step of Newton and Schulz gives back.
public struct SymmetricEigenSolver: Sendable {
    /// The largest order whose working space, `1 + 4 order + order²` values, has a count that LAPACK's integers can hold.
    static let largestOrder = 46_338
    /// From this order on reflections are applied in Float32; below it that would save nothing worth having.
    static let leastInBlocks = 256
    /// Reflections of a block.
    private static let blockSize = 128
    /// Beyond these LAPACK's squares of entries might overflow, or vanish.
    private static let ordinary = 1e-100...1e100

    /// LAPACK's `tau`, one a reflection `I - tau v vᵀ`.
    private var scalars: [Double] = []
    private var offDiagonal: [Double] = []
    /// `Z`, one eigenvector after another.
    private var tridiagonalVectors: [Double] = []
    private var work: [Double] = []
    private var integerWork: [Int32] = []
    /// `T` of a block, as LAPACK has it.
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
    ///   - matrix: The whole matrix, row-major, `order · order` values and perhaps room behind them; what it holds afterwards is
    ///     unspecified.
    ///   - order: Its number of rows.
    /// - Throws: ``EigenError``.
    public mutating func decomposition(of matrix: inout [Double], order: Int) throws(EigenError) -> SymmetricEigen {
        precondition(matrix.count >= order * order, "not a square matrix")
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

    /// Multiplies a matrix of extreme values by a number that it returns; of others this is 1.
    private func bringToOrdinarySize(_ matrix: inout [Double], order: Int) throws(EigenError) -> Double {
        let largest = matrix[..<(order * order)].reduce(0) { max($0, $1.magnitude) }
        // A maximum passes over what is not a number; a sum does not.
        let sum = matrix[..<(order * order)].reduce(0, +)
        guard largest.isFinite, !sum.isNaN else { throw EigenError.notFinite }
        guard largest > 0, !Self.ordinary.contains(largest) else { return 1 }
        let scale = 1 / largest
        for index in 0..<(order * order) { matrix[index] *= scale }
        return scale
    }

    /// The matrix becomes the reflections, below its diagonal in LAPACK's order of values; room is made for all that is needed.
    private mutating func decomposeTridiagonal(
        _ matrix: inout [Double], order: Int, values: inout [Double]
    ) throws(EigenError) {
        var size = Int32(order)
        var status: Int32 = 0
        scalars.makeRoom(order)
        offDiagonal.makeRoom(order)
        tridiagonalVectors.makeRoom(order * order)
        work.makeRoom(max(1 + 4 * order + order * order, 64 * order))
        integerWork.makeRoom(3 + 5 * order)
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

    /// `Z` row-major, its columns the eigenvectors. LAPACK stores them one after another.
    private func transposedTridiagonalVectors(order: Int) -> Matrix {
        var vectors = Matrix(rows: order, columns: order)
        vectors.withMutableSpan { span in
            // In tiles: a column's entries are a row apart, each in another line of the cache.
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

    /// `H Z` in place of `Z`: each block of reflections takes it to `Z - V (T (Vᵀ Z))`, the last one first.
    private mutating func applyBlocksOfReflections(_ matrix: [Double], to vectors: inout Matrix) {
        let order = vectors.rows
        triangle.makeRoom(Self.blockSize * Self.blockSize)
        for first in stride(from: 0, to: order - 1, by: Self.blockSize).reversed() {
            let count = min(Self.blockSize, order - 1 - first)
            formBlock(matrix, order: order, first: first, count: count)
            along.formProduct(reflections.slice, vectors[rows: first..<order])  // count × order
            combined.formProduct(negatedTriangle.slice, along.slice)
            vectors.setBlock(
                row: first, column: 0, toProduct: reflections.transposed, combined.slice, adding: true)
        }
    }

    /// Takes `Q` to `Q - Q (Qᵀ Q - I) / 2`, which leaves of what `Qᵀ Q` differs from `I` by no more than its square and Float32's
    /// rounding (Björck & Bowie 1971).
    ///
    /// Blocks alone leave more than rounding does: `V` and `T` are rounded apart, so that no block is quite a reflection, and by how
    /// much depends on the processor's order of sums.
    private mutating func orthonormalize(_ vectors: inout Matrix) {
        let order = vectors.rows
        // In Float64: a Float32 sum of as many terms is off by as much as what is looked for.
        let products = vectors.gramInDouble(ofRows: false)
        along.resize(rows: order, columns: order)
        along.withMutableSpan { span in
            for index in 0..<(order * order) { span[index] = Float(products[index]) }
            for index in 0..<order { span[index * order + index] = Float(products[index * order + index] - 1) }
        }
        combined.formProduct(vectors.slice, along.slice)
        vectors.add(combined, scaledBy: -0.5)
    }

    /// `Vᵀ` of some reflections, count × (order - first), and `-T`. Reflection `i` has zeros up to row `i`, which is left in for the
    /// sake of the product's shapes, a one below it, and then what column `i` of the matrix has.
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

extension [Double] {
    /// Has at least so many values, whatever they are.
    fileprivate mutating func makeRoom(_ count: Int) {
        if self.count < count { self = Self(repeating: 0, count: count) }
    }
}

extension [Int32] {
    /// Has at least so many values, whatever they are.
    fileprivate mutating func makeRoom(_ count: Int) {
        if self.count < count { self = Self(repeating: 0, count: count) }
    }
}
