import CVectorKernels

/// A tokens × queries table of scores, summed in Float64.
public struct ScoreTable: Sendable {
    public private(set) var rows: Int
    public private(set) var columns: Int
    public private(set) var values: [Double]

    public init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        values = [Double](repeating: 0, count: rows * columns)
    }

    public subscript(row: Int, column: Int) -> Double { values[row * columns + column] }

    /// Gives the table a shape and makes it zero.
    public mutating func reset(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        values.removeAll(keepingCapacity: true)
        values.append(contentsOf: repeatElement(0, count: rows * columns))
    }

    /// Adds, for each row and each of some columns, the dot product of one segment of the two rows.
    ///
    /// - Parameters:
    ///   - left: rows × (segments · width)
    ///   - right: rows × (segments · width)
    ///   - width: Entries a segment.
    ///   - column: The column of the first segment.
    public mutating func addSegmentedDots(_ left: Matrix, _ right: Matrix, width: Int, column: Int) {
        let segments = left.columns / max(width, 1)
        precondition(
            left.rows == rows && right.rows == rows && left.columns == segments * width && right.columns == left.columns
                && column >= 0 && column + segments <= columns, "shapes differ")
        guard rows > 0 else { return }
        values.withUnsafeMutableBufferPointer { values in
            guard let base = values.baseAddress else { return }
            tributary_segmented_dot(
                left.pointer, left.columns, right.pointer, right.columns, base + column, columns, rows, segments, width)
        }
    }

    /// Adds the row-wise dot products of two slices to one column.
    ///
    /// - Parameter row: The row of the first product.
    public mutating func addRowDots(
        _ left: MatrixSlice, _ right: MatrixSlice, toColumn column: Int, fromRow row: Int = 0
    ) {
        precondition(
            row >= 0 && row + left.rows <= rows && right.rows == left.rows && left.columns == right.columns
                && column >= 0 && column < columns
                && !left.isTransposed && !right.isTransposed)
        guard left.rows > 0 else { return }
        values.withUnsafeMutableBufferPointer { values in
            guard let base = values.baseAddress else { return }
            tributary_segmented_dot(
                left.pointer, left.stride, right.pointer, right.stride, base + row * columns + column, columns,
                left.rows,
                1, left.columns)
        }
    }

    /// Adds a matrix of the same shape.
    public mutating func add(_ products: Matrix) {
        precondition(rows == products.rows && columns == products.columns, "shapes differ")
        products.withSpan { products in
            for index in values.indices { values[index] += Double(products[index]) }
        }
    }

    /// Adds another table.
    public mutating func add(_ other: ScoreTable) {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        for index in values.indices { values[index] += other.values[index] }
    }

    /// The sum of a column over a range of rows.
    public func sum(rows range: Range<Int>, column: Int) -> Double {
        range.reduce(0) { $0 + values[$1 * columns + column] }
    }
}
