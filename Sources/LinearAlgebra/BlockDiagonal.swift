/// A square matrix that is zero except in square blocks on its diagonal. With one block, it is an ordinary matrix.
public struct BlockDiagonal: Sendable, Equatable {
    /// In the order of their rows.
    public let blocks: [Matrix]
    /// The rows and columns of each block.
    public let ranges: [Range<Int>]

    /// - Precondition: The blocks are square.
    public init(blocks: [Matrix]) {
        self.blocks = blocks
        var ranges: [Range<Int>] = []
        for block in blocks {
            precondition(block.rows == block.columns, "a block of \(block.rows) x \(block.columns)")
            let start = ranges.last?.upperBound ?? 0
            ranges.append(start..<(start + block.rows))
        }
        self.ranges = ranges
    }

    public init(_ matrix: Matrix) {
        self.init(blocks: [matrix])
    }

    /// The number of rows and of columns.
    public var order: Int { ranges.last?.upperBound ?? 0 }
    public var byteCount: Int { blocks.reduce(0) { $0 + $1.byteCount } }
    /// Whether no value is infinite or not a number.
    public var isFinite: Bool { blocks.allSatisfy(\.isFinite) }

    /// Splits rows and columns into the fewest blocks of at most `largest` rows, as equal in size as possible.
    ///
    /// - Parameter largest: `nil` for one block.
    public static func ranges(order: Int, largest: Int?) -> [Range<Int>] {
        guard let largest, largest > 0, largest < order else { return [0..<order] }
        let count = (order - 1) / largest + 1
        return (0..<count).map { ($0 * order / count)..<(($0 + 1) * order / count) }
    }

    /// Some of the columns, with their zeros: order × columns.
    public func columns(_ indices: [Int]) -> Matrix {
        precondition(indices.allSatisfy { $0 >= 0 && $0 < order }, "columns \(indices) of \(order)")
        var columns = Matrix(rows: order, columns: indices.count)
        for (block, range) in zip(blocks, ranges) {
            for (position, index) in indices.enumerated() where range.contains(index) {
                for row in range { columns[row, position] = block[row - range.lowerBound, index - range.lowerBound] }
            }
        }
        return columns
    }
}

extension Matrix {
    /// Becomes `left · right`, or `left · rightᵀ`.
    ///
    /// - Precondition: `left` is not transposed.
    public mutating func formProduct(_ left: MatrixSlice, _ right: BlockDiagonal, transposed: Bool = false) {
        precondition(left.columns == right.order, "inner dimensions \(left.columns) and \(right.order) differ")
        resize(rows: left.rows, columns: right.order)
        for (block, range) in zip(right.blocks, right.ranges) {
            setBlock(
                row: 0, column: range.lowerBound, toProduct: left[columns: range],
                transposed ? block.transposed : block.slice)
        }
    }

    /// Becomes `left · right`, or `leftᵀ · right`.
    ///
    /// - Precondition: `right` is not transposed.
    public mutating func formProduct(_ left: BlockDiagonal, transposed: Bool = false, _ right: MatrixSlice) {
        precondition(left.order == right.rows, "inner dimensions \(left.order) and \(right.rows) differ")
        resize(rows: left.order, columns: right.columns)
        for (block, range) in zip(left.blocks, left.ranges) {
            setBlock(
                row: range.lowerBound, column: 0, toProduct: transposed ? block.transposed : block.slice,
                right[rows: range])
        }
    }
}
