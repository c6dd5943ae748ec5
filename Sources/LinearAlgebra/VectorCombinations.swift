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

    /// Multiplies each of some rows by its own factor.
    ///
    /// - Parameter first: The row of the first factor.
    public mutating func scaleRows(from first: Int, by factors: [Float]) {
        precondition(first >= 0 && first + factors.count <= rows, "rows outside the matrix")
        let destination = uniquePointer() + first * columns
        for (row, factor) in factors.enumerated() where factor != 1 {
            tributary_scale(factor, destination + row * columns, columns)
        }
    }

    /// Adds to each of some rows its own multiple of a row of another matrix.
    ///
    /// - Parameters:
    ///   - first: The row to which the other's first is added.
    ///   - factors: One for each row of the other.
    public mutating func addRows(from first: Int, of other: Matrix, scaledBy factors: [Float]) {
        precondition(
            columns == other.columns && other.rows == factors.count && first >= 0 && first + other.rows <= rows)
        let destination = uniquePointer() + first * columns
        for (row, factor) in factors.enumerated() {
            cblas_saxpy(Int32(columns), factor, other.pointer + row * columns, 1, destination + row * columns, 1)
        }
    }
}
