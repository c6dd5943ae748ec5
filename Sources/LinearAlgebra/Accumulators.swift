import CVectorKernels

/// A sum of element-wise squares of matrices, in Float64.
///
/// The squares of one micro-batch are summed in Float32 (``Matrix/addSquares(of:fromRow:)``), and that partial sum is added in Float64.
/// All terms are non-negative, so the rounding error is that of one micro-batch, whatever the number and order of the terms.
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

    /// Restores sums from ``values``.
    ///
    /// - Returns: `nil` if the number of values does not match the shape.
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
    /// Adds the squares of a matrix's elements to the rows starting at `row`.
    public mutating func addSquares(of matrix: Matrix, fromRow row: Int = 0) {
        precondition(
            row >= 0 && row + matrix.rows <= rows && columns == matrix.columns,
            "\(matrix.rows) x \(matrix.columns) squares at row \(row) of \(rows) x \(columns)")
        tributary_add_squares(matrix.pointer, uniquePointer() + row * columns, matrix.count)
    }
}

/// A symmetric sum of Gram matrices, in Float64.
///
/// Each update forms `Aᵀ A` of one micro-batch in Float32 (a symmetric rank-k update, half the work of a product) and adds its upper
/// triangle to Float64 sums. The rounding error of a sum over millions of tokens is then that of one micro-batch, whatever their number
/// and order. Only the triangle is stored: `order · (order + 1) / 2` values, or only those of blocks on the diagonal.
public struct SymmetricAccumulator: Sendable {
    public var order: Int { blocks.last?.upperBound ?? 0 }
    /// The rows and columns of the diagonal blocks that are summed; a single block is the whole matrix.
    public let blocks: [Range<Int>]
    /// The sums on and above the diagonal, row after row, block after block.
    public private(set) var upperTriangle: [Double]

    public init(order: Int) {
        self.init(blocks: [0..<order])
    }

    /// - Parameter blocks: The diagonal blocks, in order and without gaps.
    public init(blocks: [Range<Int>]) {
        self.blocks = blocks
        upperTriangle = [Double](repeating: 0, count: Self.size(of: blocks))
    }

    private static func size(of blocks: [Range<Int>]) -> Int {
        blocks.reduce(0) { $0 + $1.count * ($1.count + 1) / 2 }
    }

    /// Restores sums from ``upperTriangle``.
    ///
    /// - Returns: `nil` if the number of values does not match the blocks.
    public init?(blocks: [Range<Int>], upperTriangle: [Double]) {
        guard upperTriangle.count == Self.size(of: blocks) else { return nil }
        self.blocks = blocks
        self.upperTriangle = upperTriangle
    }

    /// Adds `Aᵀ A`.
    ///
    /// - Parameter gram: Scratch memory for the product, which many sums can share.
    public mutating func addGram(of slice: MatrixSlice, through gram: inout Matrix) {
        precondition(slice.columns == order, "the slice has \(slice.columns) columns, not \(order)")
        upperTriangle.withUnsafeMutableBufferPointer { sums in
            guard var row = sums.baseAddress else { return }
            for block in blocks {
                let order = block.count
                gram.formUpperGram(of: slice[columns: block])
                let pointer = gram.pointer
                for diagonal in 0..<order {
                    tributary_add_to_double(pointer + diagonal * order + diagonal, row, order - diagonal)
                    row += order - diagonal
                }
            }
        }
    }

    /// Whether all sums are zero.
    public var isZero: Bool { upperTriangle.allSatisfy { $0 == 0 } }

    /// Adds another sum.
    public mutating func merge(_ other: SymmetricAccumulator) {
        precondition(blocks == other.blocks, "blocks \(other.blocks) added to \(blocks)")
        for index in upperTriangle.indices { upperTriangle[index] += other.upperTriangle[index] }
    }

    /// Writes one block divided by a count into the first values of `mean`: the whole symmetric matrix, row-major.
    public func formMean(ofBlock block: Int, over count: Double, into mean: inout [Double]) {
        let order = blocks[block].count
        if mean.count < order * order { mean = [Double](repeating: 0, count: order * order) }
        var next = Self.size(of: Array(blocks[..<block]))
        for row in 0..<order {
            for column in row..<order {
                mean[row * order + column] = upperTriangle[next] / count
                next += 1
            }
        }
        // In tiles: a column's entries are a row apart, each in a different cache line.
        let tile = 16
        for first in stride(from: 0, to: order, by: tile) {
            for row in first..<order {
                for column in first..<min(first + tile, row) {
                    mean[row * order + column] = mean[column * order + row]
                }
            }
        }
    }
}

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

    /// Changes the shape and sets every sum to zero.
    public mutating func reset(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
        values.removeAll(keepingCapacity: true)
        values.append(contentsOf: repeatElement(0, count: rows * columns))
    }

    /// For each row, adds the dot products of the segments of `left` with those of `right` to consecutive columns.
    ///
    /// - Parameters:
    ///   - left: rows × (segments · width)
    ///   - right: rows × (segments · width)
    ///   - width: The number of entries in a segment.
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

    /// Adds each row of another table, in order, to the row at its index.
    public mutating func addRows(of other: ScoreTable, to indices: [Int]) {
        precondition(other.rows == indices.count && other.columns == columns, "shapes differ")
        for (row, index) in indices.enumerated() {
            precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
            for column in 0..<columns { values[index * columns + column] += other[row, column] }
        }
    }

    /// The sum of a column over a range of rows.
    public func sum(rows range: Range<Int>, column: Int) -> Double {
        range.reduce(0) { $0 + values[$1 * columns + column] }
    }
}
