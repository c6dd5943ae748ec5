import COpenBLAS

/// Single-threaded BLAS: parallelism lies in the workers, each with its own batch (OpenBLAS's own threads collapse when a core
/// is contended, and make a product's rounding depend on the machine).
private let singleThreadedBLAS: Void = openblas_set_num_threads(1)

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

    /// Writes a product, row after row, into one row.
    public mutating func setRow(_ row: Int, toProduct left: MatrixSlice, _ right: MatrixSlice) {
        precondition(left.columns == right.rows, "inner dimensions \(left.columns) and \(right.rows) differ")
        precondition(row >= 0 && row < rows && left.rows * right.columns == columns, "the product does not fit")
        guard columns > 0 else { return }
        multiply(left, right, scale: 1, keep: 0, into: uniquePointer() + row * columns, stride: right.columns)
    }

    private mutating func writeProduct(
        _ left: MatrixSlice, _ right: MatrixSlice, scale: Float, keep: Float, row: Int, column: Int
    ) {
        precondition(left.columns == right.rows, "inner dimensions \(left.columns) and \(right.rows) differ")
        precondition(
            row >= 0 && column >= 0 && row + left.rows <= rows && column + right.columns <= columns,
            "the product does not fit")
        guard left.rows > 0, right.columns > 0 else { return }
        multiply(
            left, right, scale: scale, keep: keep, into: uniquePointer() + row * columns + column, stride: columns)
    }

    private func multiply(
        _ left: MatrixSlice, _ right: MatrixSlice, scale: Float, keep: Float,
        into destination: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        _ = singleThreadedBLAS
        cblas_sgemm(
            CblasRowMajor, left.isTransposed ? CblasTrans : CblasNoTrans,
            right.isTransposed ? CblasTrans : CblasNoTrans,
            Int32(left.rows), Int32(right.columns), Int32(left.columns), scale, left.pointer,
            Int32(max(left.stride, 1)), right.pointer, Int32(max(right.stride, 1)), keep, destination, Int32(stride))
    }

    /// Becomes `Aᵀ A` in its upper triangle (a symmetric rank-k update); the lower triangle is unspecified.
    mutating func formUpperGram(of slice: MatrixSlice) {
        precondition(!slice.isTransposed)
        resize(rows: slice.columns, columns: slice.columns)
        _ = singleThreadedBLAS
        cblas_ssyrk(
            CblasRowMajor, CblasUpper, CblasTrans, Int32(slice.columns), Int32(slice.rows), 1, slice.pointer,
            Int32(max(slice.stride, 1)), 0, uniquePointer(), Int32(columns))
    }
}
