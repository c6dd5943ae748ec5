import CVectorKernels

/// A sum of element-wise squares of matrices, in Float64.
///
/// The squares of one micro-batch are added up in Float32 (``Matrix/addSquares(of:fromRow:)``), and that partial sum to Float64:
/// all terms are non-negative, so the rounding is that of one micro-batch, whatever their number and order.
public struct SquareAccumulator: Sendable {
    public let rows: Int
    public let columns: Int
    /// The sums, row after row.
    public private(set) var values: [Double]

    public init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        values = [Double](repeating: 0, count: rows * columns)
    }

    /// Takes up sums that ``values`` gave.
    ///
    /// - Returns: `nil` if their number is not that of the shape.
    public init?(rows: Int, columns: Int, values: [Double]) {
        guard values.count == rows * columns else { return nil }
        self.rows = rows
        self.columns = columns
        self.values = values
    }

    /// Adds a micro-batch's sum of squares.
    public mutating func add(_ squares: Matrix) {
        precondition(squares.rows == rows && squares.columns == columns, "shapes differ")
        values.withUnsafeMutableBufferPointer { values in
            guard let base = values.baseAddress else { return }
            tributary_add_to_double(squares.pointer, base, squares.count)
        }
    }

    /// Adds another sum.
    public mutating func merge(_ other: SquareAccumulator) {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        for index in values.indices { values[index] += other.values[index] }
    }

    /// The sums divided by a count.
    public func mean(over count: Double) -> Matrix {
        Matrix(rows: rows, columns: columns, elements: values.map { Float($0 / count) })
    }
}

extension Matrix {
    /// Adds the squares of a matrix's elements to the rows from the given one on.
    public mutating func addSquares(of matrix: Matrix, fromRow row: Int = 0) {
        precondition(
            row >= 0 && row + matrix.rows <= rows && columns == matrix.columns, "the squares do not fit")
        tributary_add_squares(matrix.pointer, uniquePointer() + row * columns, matrix.count)
    }
}
