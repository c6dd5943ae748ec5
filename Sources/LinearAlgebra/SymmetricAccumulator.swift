import CVectorKernels

/// A symmetric sum of Gram matrices, in Float64.
///
/// Each update forms `Aᵀ A` of one micro-batch in Float32 (a symmetric rank-k update, half the work of a product) and adds its
/// upper triangle to Float64 sums. The rounding of a sum over millions of tokens is then that of one micro-batch, whatever their
/// number and order. Only the triangle is kept: `order · (order + 1) / 2` values, or those of blocks on the diagonal alone.
public struct SymmetricAccumulator: Sendable {
    public var order: Int { blocks.last?.upperBound ?? 0 }
    /// The rows and columns of the blocks on the diagonal that are summed; one block is the whole.
    public let blocks: [Range<Int>]
    /// The sums on and above the diagonal, row after row, block after block.
    public private(set) var upperTriangle: [Double]

    public init(order: Int) {
        self.init(blocks: [0..<order])
    }

    /// - Parameter blocks: One behind the other.
    public init(blocks: [Range<Int>]) {
        self.blocks = blocks
        upperTriangle = [Double](repeating: 0, count: Self.size(of: blocks))
    }

    private static func size(of blocks: [Range<Int>]) -> Int {
        blocks.reduce(0) { $0 + $1.count * ($1.count + 1) / 2 }
    }

    /// Takes up sums that ``upperTriangle`` gave.
    ///
    /// - Returns: `nil` if the number of values is not that of triangles of these blocks.
    public init?(blocks: [Range<Int>], upperTriangle: [Double]) {
        guard upperTriangle.count == Self.size(of: blocks) else { return nil }
        self.blocks = blocks
        self.upperTriangle = upperTriangle
    }

    /// Adds `Aᵀ A`.
    ///
    /// - Parameter gram: Room for the product, which many sums may share.
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

    /// Whether nothing but zeros has been added.
    public var isZero: Bool { upperTriangle.allSatisfy { $0 == 0 } }

    /// Adds another sum.
    public mutating func merge(_ other: SymmetricAccumulator) {
        precondition(blocks == other.blocks)
        for index in upperTriangle.indices { upperTriangle[index] += other.upperTriangle[index] }
    }

    /// One block divided by a count: the whole symmetric matrix of it, row-major, in as many of the first values as it has.
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
        // In tiles: a column's entries are a row apart, each in another line of the cache.
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
