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

    /// Writes `scale · left · right` into the block that starts at the given place, or adds it there.
    public mutating func setBlock(
        row: Int, column: Int, toProduct left: MatrixSlice, _ right: MatrixSlice, scale: Float = 1, adding: Bool = false
    ) {
        writeProduct(left, right, scale: scale, keep: adding ? 1 : 0, row: row, column: column)
    }

    /// Writes a product, row after row, into the first entries of one row.
    public mutating func setRow(_ row: Int, toProduct left: MatrixSlice, _ right: MatrixSlice) {
        precondition(left.columns == right.rows, "inner dimensions \(left.columns) and \(right.rows) differ")
        precondition(row >= 0 && row < rows && left.rows * right.columns <= columns, "the product does not fit")
        guard columns > 0 else { return }
        Self.multiply(left, right, scale: 1, keep: 0, into: uniquePointer() + row * columns, stride: right.columns)
    }

    private mutating func writeProduct(
        _ left: MatrixSlice, _ right: MatrixSlice, scale: Float, keep: Float, row: Int, column: Int
    ) {
        precondition(left.columns == right.rows, "inner dimensions \(left.columns) and \(right.rows) differ")
        precondition(
            row >= 0 && column >= 0 && row + left.rows <= rows && column + right.columns <= columns,
            "the product does not fit")
        guard left.rows > 0, right.columns > 0 else { return }
        Self.multiply(
            left, right, scale: scale, keep: keep, into: uniquePointer() + row * columns + column, stride: columns)
    }

    // No method of the matrix written to: another reference to it, held for the call, would have it copied first.
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

    /// A single row times a matrix: bound by how fast that is read, which products of matrices do twice to arrange it first.
    private static func multiplyRow(
        _ row: MatrixSlice, _ right: MatrixSlice, scale: Float, keep: Float,
        into destination: UnsafeMutablePointer<Float>
    ) {
        // BLAS multiplies what is there by `keep`, and what is there may be no number.
        if keep == 0 { destination.update(repeating: 0, count: right.columns) }
        cblas_sgemv(
            CblasRowMajor, right.isTransposed ? CblasNoTrans : CblasTrans, Int32(right.storedRows),
            Int32(right.storedColumns), scale, right.pointer, Int32(max(right.stride, 1)), row.pointer,
            Int32(row.isTransposed ? max(row.stride, 1) : 1), keep, destination, 1)
    }

    /// Becomes `Aᵀ A` in its upper triangle (a symmetric rank-k update); the lower triangle is unspecified.
    mutating func formUpperGram(of slice: MatrixSlice) {
        precondition(!slice.isTransposed)
        resize(rows: slice.columns, columns: slice.columns)
        cblas_ssyrk(
            CblasRowMajor, CblasUpper, CblasTrans, Int32(slice.columns), Int32(slice.rows), 1, slice.pointer,
            Int32(max(slice.stride, 1)), 0, uniquePointer(), Int32(columns))
    }
}

/// Which products go by oneDNN: it has the faster kernels for AVX-512, but writes one for each inner dimension and number of columns,
/// which is worth it for those that come again and again.
private enum PreparedProduct {
    private static let isAvailable = tributary_has_float_products() != 0
    /// Below this, BLAS is as fast.
    private static let least = 16

    /// A right factor of so many columns and values, read along its rows, goes by oneDNN at half to four fifths of the rate of BLAS's
    /// kernels for AVX-512 in most shapes (576 x 3,072, 1,536 x 1,536), and never much faster.
    private static let wide = (columns: 1_280, values: 1_600_000)
    private static let blasIsAsWide = ["SkylakeX", "Cooperlake", "SapphireRapids"].contains(
        String(cString: tributary_blas_kernels()))

    /// The widths of layers are multiples of 8, perhaps and 1 for a bias; the lengths of sequences are anything.
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
