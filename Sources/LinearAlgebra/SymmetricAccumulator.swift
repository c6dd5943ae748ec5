import CVectorKernels

/// A symmetric sum of Gram matrices, in Float64.
///
/// Each update forms `Aᵀ A` of one micro-batch in Float32 (a symmetric rank-k update, half the work of a product) and adds its
/// upper triangle to Float64 sums. The rounding of a sum over millions of tokens is then that of one micro-batch, whatever their
/// number and order.
public struct SymmetricAccumulator: Sendable {
    public let order: Int
    /// Upper triangle of the row-major sum; what lies under the diagonal is zero.
    private var sums: [Double]
    private var gram = Matrix()

    public init(order: Int) {
        self.order = order
        sums = [Double](repeating: 0, count: order * order)
    }

    /// Takes up sums that ``upperTriangle`` gave.
    ///
    /// - Returns: `nil` if the number of values is not that of a triangle of this order.
    public init?(order: Int, upperTriangle: [Double]) {
        guard upperTriangle.count == order * (order + 1) / 2 else { return nil }
        self.init(order: order)
        var next = 0
        for row in 0..<order {
            for column in row..<order {
                sums[row * order + column] = upperTriangle[next]
                next += 1
            }
        }
    }

    /// Adds `Aᵀ A`.
    public mutating func addGram(of slice: MatrixSlice) {
        precondition(slice.columns == order, "the slice has \(slice.columns) columns, not \(order)")
        gram.formUpperGram(of: slice)
        let pointer = gram.pointer
        sums.withUnsafeMutableBufferPointer { sums in
            guard let base = sums.baseAddress else { return }
            for row in 0..<order {
                tributary_add_to_double(pointer + row * order + row, base + row * order + row, order - row)
            }
        }
    }

    /// Adds another sum.
    public mutating func merge(_ other: SymmetricAccumulator) {
        precondition(order == other.order)
        for index in sums.indices { sums[index] += other.sums[index] }
    }

    /// The sums on and above the diagonal, row after row: `order · (order + 1) / 2` values.
    public var upperTriangle: [Double] {
        var values: [Double] = []
        values.reserveCapacity(order * (order + 1) / 2)
        for row in 0..<order { values.append(contentsOf: sums[(row * order + row)..<((row + 1) * order)]) }
        return values
    }

    /// The whole symmetric matrix divided by a count, row-major.
    public func mean(over count: Double) -> [Double] {
        var mean = sums
        for row in 0..<order {
            for column in row..<order {
                let value = sums[row * order + column] / count
                mean[row * order + column] = value
                mean[column * order + row] = value
            }
        }
        return mean
    }
}
