import CVectorKernels

/// A sum of element-wise squares of matrices, in Float64.
///
/// Squares of a few matrices (one micro-batch) are added in Float32, and that partial sum to Float64 by ``flush()``: all terms
/// are non-negative, so the rounding is that of one micro-batch, whatever their number and order.
public struct SquareAccumulator: Sendable {
    public let rows: Int
    public let columns: Int
    private var sums: [Double]
    private var partial: Matrix
    private var pending = 0

    public init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        sums = [Double](repeating: 0, count: rows * columns)
        partial = Matrix(rows: rows, columns: columns)
    }

    /// Takes up sums that ``values`` gave.
    ///
    /// - Returns: `nil` if their number is not that of the shape.
    public init?(rows: Int, columns: Int, values: [Double]) {
        guard values.count == rows * columns else { return nil }
        self.init(rows: rows, columns: columns)
        sums = values
    }

    /// Adds the squares of a matrix's elements.
    public mutating func addSquares(of matrix: Matrix) {
        precondition(matrix.rows == rows && matrix.columns == columns, "shapes differ")
        tributary_add_squares(matrix.pointer, partial.uniquePointer(), matrix.count)
        pending += 1
    }

    /// Moves what was added since the last call into the Float64 sums.
    public mutating func flush() {
        guard pending > 0 else { return }
        sums.withUnsafeMutableBufferPointer { sums in
            guard let base = sums.baseAddress else { return }
            tributary_add_to_double(partial.pointer, base, partial.count)
        }
        partial.resize(rows: rows, columns: columns, filledWith: 0)
        pending = 0
    }

    /// Adds another sum.
    ///
    /// - Precondition: both have been flushed.
    public mutating func merge(_ other: SquareAccumulator) {
        precondition(sums.count == other.sums.count && pending == 0 && other.pending == 0)
        for index in sums.indices { sums[index] += other.sums[index] }
    }

    /// The sums, row after row.
    ///
    /// - Precondition: it has been flushed.
    public var values: [Double] {
        precondition(pending == 0, "flush first")
        return sums
    }

    /// The sums divided by a count.
    public func mean(over count: Double) -> Matrix {
        Matrix(rows: rows, columns: columns, elements: values.map { Float($0 / count) })
    }
}
