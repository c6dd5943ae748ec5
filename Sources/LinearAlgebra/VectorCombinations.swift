import COpenBLAS
import CVectorKernels

extension Matrix {
    /// Adds `scale · other`.
    public mutating func add(_ other: Matrix, scaledBy scale: Float) {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        guard count > 0 else { return }
        let destination = uniquePointer()
        // Row by row: the number of all values may be more than BLAS's 32-bit integers hold.
        for row in 0..<rows {
            cblas_saxpy(Int32(columns), scale, other.pointer + row * columns, 1, destination + row * columns, 1)
        }
    }

    /// Multiplies each column by its own factor.
    ///
    /// - Parameter factors: 1 × columns
    public mutating func scaleColumns(by factors: Matrix) {
        precondition(factors.count == columns, "one factor a column")
        tributary_scale_columns(factors.pointer, uniquePointer(), rows, columns)
    }
}
