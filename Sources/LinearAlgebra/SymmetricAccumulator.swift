import CVectorKernels

/// A symmetric sum of Gram matrices, in Float64.
///
/// Each update forms `Aᵀ A` of one micro-batch in Float32 (a symmetric rank-k update, half the work of a product) and adds its
/// upper triangle to Float64 sums. The rounding of a sum over millions of tokens is then that of one micro-batch, whatever their
/// number and order. Only the triangle is kept: `order · (order + 1) / 2` values.
public struct SymmetricAccumulator: Sendable {
    public let order: Int
    /// The sums on and above the diagonal, row after row.
    public private(set) var upperTriangle: [Double]

    public init(order: Int) {
        self.order = order
        upperTriangle = [Double](repeating: 0, count: order * (order + 1) / 2)
    }

    /// Takes up sums that ``upperTriangle`` gave.
    ///
    /// - Returns: `nil` if the number of values is not that of a triangle of this order.
    public init?(order: Int, upperTriangle: [Double]) {
        guard upperTriangle.count == order * (order + 1) / 2 else { return nil }
        self.order = order
        self.upperTriangle = upperTriangle
    }

    /// Adds `Aᵀ A`.
    ///
    /// - Parameter gram: Room for the product, which many sums may share.
    public mutating func addGram(of slice: MatrixSlice, through gram: inout Matrix) {
        precondition(slice.columns == order, "the slice has \(slice.columns) columns, not \(order)")
        gram.formUpperGram(of: slice)
        let pointer = gram.pointer
        upperTriangle.withUnsafeMutableBufferPointer { sums in
            guard var row = sums.baseAddress else { return }
            for diagonal in 0..<order {
                tributary_add_to_double(pointer + diagonal * order + diagonal, row, order - diagonal)
                row += order - diagonal
            }
        }
    }

    /// Adds another sum.
    public mutating func merge(_ other: SymmetricAccumulator) {
        precondition(order == other.order)
        for index in upperTriangle.indices { upperTriangle[index] += other.upperTriangle[index] }
    }

    /// The whole symmetric matrix divided by a count, row-major.
    public func mean(over count: Double) -> [Double] {
        var mean = [Double](repeating: 0, count: order * order)
        var next = 0
        for row in 0..<order {
            for column in row..<order {
                let value = upperTriangle[next] / count
                mean[row * order + column] = value
                mean[column * order + row] = value
                next += 1
            }
        }
        return mean
    }
}
