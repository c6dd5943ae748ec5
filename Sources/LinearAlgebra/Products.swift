import COneDNN
import COpenBLAS
import COpenBLASKernels

extension Matrix {
    /// Becomes `scale · left · right`.
    public mutating func formProduct(_ left: MatrixSlice, _ right: MatrixSlice, scale: Float = 1) {
        resize(rows: left.rows, columns: right.columns)
        writeProduct(left, right, scale: scale, keep: 0, row: 0, column: 0)
    }

    /// Adds `scale · left · right`.
    public mutating func addProduct(_ left: MatrixSlice, _ right: MatrixSlice, scale: Float = 1) {
        precondition(rows == left.rows && columns == right.columns, "shapes differ")
        writeProduct(left, right, scale: scale, keep: 1, row: 0, column: 0)
    }

    /// Writes `scale · left · right` into the block that starts at the given row and column, or adds it there.
    public mutating func setBlock(
        row: Int, column: Int, toProduct left: MatrixSlice, _ right: MatrixSlice, scale: Float = 1, adding: Bool = false
    ) {
        writeProduct(left, right, scale: scale, keep: adding ? 1 : 0, row: row, column: column)
    }

    /// Writes a product, row after row, into the first entries of one row.
    public mutating func setRow(_ row: Int, toProduct left: MatrixSlice, _ right: MatrixSlice) {
        precondition(left.columns == right.rows, "inner dimensions \(left.columns) and \(right.rows) differ")
        precondition(
            row >= 0 && row < rows && left.rows * right.columns <= columns,
            "\(left.rows) x \(right.columns) in row \(row) of \(rows) x \(columns)")
        guard columns > 0 else { return }
        Self.multiply(left, right, scale: 1, keep: 0, into: uniquePointer() + row * columns, stride: right.columns)
    }

    private mutating func writeProduct(
        _ left: MatrixSlice, _ right: MatrixSlice, scale: Float, keep: Float, row: Int, column: Int
    ) {
        precondition(left.columns == right.rows, "inner dimensions \(left.columns) and \(right.rows) differ")
        precondition(
            row >= 0 && column >= 0 && row + left.rows <= rows && column + right.columns <= columns,
            "\(left.rows) x \(right.columns) at row \(row), column \(column) of \(rows) x \(columns)")
        guard left.rows > 0, right.columns > 0 else { return }
        Self.multiply(
            left, right, scale: scale, keep: keep, into: uniquePointer() + row * columns + column, stride: columns)
    }

    // Static: as a method of the destination, it would hold a second reference during the call and force a copy.
    private static func multiply(
        _ left: MatrixSlice, _ right: MatrixSlice, scale: Float, keep: Float,
        into destination: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        if left.rows == 1, left.columns > 0 {
            return multiplyRow(left, right, scale: scale, keep: keep, into: destination)
        }
        var done = 0
        if scale == 1, keep == 0 || keep == 1, PreparedProduct.suits(left, right) {
            done = tributary_float_product(
                tributary_factor(left), tributary_factor(right), destination, stride, left.rows, left.columns,
                right.columns, keep == 1 ? 1 : 0)
            if done == left.rows { return }
        }
        cblas_sgemm(
            CblasRowMajor, left.isTransposed ? CblasTrans : CblasNoTrans,
            right.isTransposed ? CblasTrans : CblasNoTrans,
            Int32(left.rows - done), Int32(right.columns), Int32(left.columns), scale,
            left.pointer + done * (left.isTransposed ? 1 : left.stride), Int32(max(left.stride, 1)), right.pointer,
            Int32(max(right.stride, 1)), keep, destination + done * stride, Int32(stride))
    }

    /// Multiplies a single row by a matrix. Memory speed bounds this, and a general product of matrices would read the matrix twice, to
    /// rearrange it.
    private static func multiplyRow(
        _ row: MatrixSlice, _ right: MatrixSlice, scale: Float, keep: Float,
        into destination: UnsafeMutablePointer<Float>
    ) {
        // BLAS multiplies the old values by `keep`, and they may be NaN.
        if keep == 0 { destination.update(repeating: 0, count: right.columns) }
        cblas_sgemv(
            CblasRowMajor, right.isTransposed ? CblasNoTrans : CblasTrans, Int32(right.storedRows),
            Int32(right.storedColumns), scale, right.pointer, Int32(max(right.stride, 1)), row.pointer,
            Int32(row.isTransposed ? max(row.stride, 1) : 1), keep, destination, 1)
    }

    /// Becomes `Aᵀ A` in its upper triangle (a symmetric rank-k update); the lower triangle is unspecified.
    mutating func formUpperGram(of slice: MatrixSlice) {
        precondition(!slice.isTransposed, "the Gram matrix of a transposed slice")
        resize(rows: slice.columns, columns: slice.columns)
        cblas_ssyrk(
            CblasRowMajor, CblasUpper, CblasTrans, Int32(slice.columns), Int32(slice.rows), 1, slice.pointer,
            Int32(max(slice.stride, 1)), 0, uniquePointer(), Int32(columns))
    }
}

/// Decides which products use oneDNN. Its kernels for AVX-512 are faster, but it generates one for each inner dimension and number of
/// columns, which pays only for shapes that recur.
private enum PreparedProduct {
    private static let isAvailable = tributary_has_float_products() != 0
    /// Below this, BLAS is as fast.
    private static let least = 16

    /// With a right factor of at least this size, read along its rows, oneDNN reaches half to four fifths of the speed of BLAS's kernels
    /// for AVX-512 in most shapes (576 x 3,072, 1,536 x 1,536), and is never much faster.
    private static let wide = (columns: 1_280, values: 1_600_000)
    private static let blasIsAsWide = ["SkylakeX", "Cooperlake", "SapphireRapids"].contains(
        String(cString: tributary_blas_kernels()))

    /// Layers' widths are multiples of 8, plus 1 where there is a bias. Sequences have any length.
    static func suits(_ left: MatrixSlice, _ right: MatrixSlice) -> Bool {
        let isWide =
            blasIsAsWide && !right.isTransposed && right.columns >= wide.columns
            && right.rows * right.columns >= wide.values
        return isAvailable && left.rows >= least && left.columns >= least && right.columns >= least
            && left.columns % 8 <= 1 && right.columns % 8 == 0 && !isWide
    }
}

extension tributary_factor {
    fileprivate init(_ slice: MatrixSlice) {
        self.init(
            values: slice.pointer, row_stride: slice.isTransposed ? 1 : slice.stride,
            column_stride: slice.isTransposed ? slice.stride : 1)
    }
}
