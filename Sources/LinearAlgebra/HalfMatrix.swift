import CVectorKernels

/// A row-major matrix of bfloat16 values: Float32 with eight bits of its mantissa, in half the memory.
///
/// A factor of products that some processors do several times as fast as those of Float32, sums being Float32 all the same.
/// Never written to.
public struct HalfMatrix: Sendable {
    public let rows: Int
    public let columns: Int
    private let values: [UInt16]

    /// Rounds a matrix's values to the nearest, ties to even.
    public init(_ matrix: Matrix) {
        rows = matrix.rows
        columns = matrix.columns
        values = [UInt16](unsafeUninitializedCapacity: matrix.count) { buffer, count in
            if let base = buffer.baseAddress { tributary_to_bfloat16(matrix.pointer, base, matrix.count) }
            count = matrix.count
        }
    }

    public var slice: HalfSlice { HalfSlice(matrix: self, columns: 0..<columns, isTransposed: false) }

    public var transposed: HalfSlice { slice.transposed }

    public subscript(columns columns: Range<Int>) -> HalfSlice {
        precondition(columns.lowerBound >= 0 && columns.upperBound <= self.columns, "columns outside the matrix")
        return HalfSlice(matrix: self, columns: columns, isTransposed: false)
    }

    /// Bytes that the values take.
    public var byteCount: Int { values.count * MemoryLayout<UInt16>.stride }

    func withPointer<Result>(_ body: (UnsafePointer<UInt16>) -> Result?) -> Result? {
        values.withUnsafeBufferPointer { $0.baseAddress.flatMap(body) }
    }
}

/// Some columns of a ``HalfMatrix``, perhaps transposed, for reading.
public struct HalfSlice: Sendable {
    let matrix: HalfMatrix
    let storedColumns: Range<Int>
    let isTransposed: Bool

    init(matrix: HalfMatrix, columns: Range<Int>, isTransposed: Bool) {
        self.matrix = matrix
        storedColumns = columns
        self.isTransposed = isTransposed
    }

    /// Rows as read, after any transposition.
    public var rows: Int { isTransposed ? storedColumns.count : matrix.rows }
    /// Columns as read, after any transposition.
    public var columns: Int { isTransposed ? matrix.rows : storedColumns.count }

    public var transposed: HalfSlice {
        HalfSlice(matrix: matrix, columns: storedColumns, isTransposed: !isTransposed)
    }
}
