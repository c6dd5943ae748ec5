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

    public var slice: HalfSlice {
        HalfSlice(matrix: self, rows: 0..<rows, columns: 0..<columns, isTransposed: false)
    }

    public var transposed: HalfSlice { slice.transposed }

    public subscript(columns columns: Range<Int>) -> HalfSlice {
        precondition(columns.lowerBound >= 0 && columns.upperBound <= self.columns, "columns outside the matrix")
        return HalfSlice(matrix: self, rows: 0..<rows, columns: columns, isTransposed: false)
    }

    public subscript(rows rows: Range<Int>) -> HalfSlice {
        precondition(rows.lowerBound >= 0 && rows.upperBound <= self.rows, "rows outside the matrix")
        return HalfSlice(matrix: self, rows: rows, columns: 0..<columns, isTransposed: false)
    }

    /// Bytes that the values take.
    public var byteCount: Int { values.count * MemoryLayout<UInt16>.stride }

    func withPointer<Result>(_ body: (UnsafePointer<UInt16>) -> Result?) -> Result? {
        values.withUnsafeBufferPointer { $0.baseAddress.flatMap(body) }
    }
}

/// Some rows and columns of a ``HalfMatrix``, perhaps transposed, for reading.
public struct HalfSlice: Sendable {
    let matrix: HalfMatrix
    let storedRows: Range<Int>
    let storedColumns: Range<Int>
    let isTransposed: Bool

    init(matrix: HalfMatrix, rows: Range<Int>, columns: Range<Int>, isTransposed: Bool) {
        self.matrix = matrix
        storedRows = rows
        storedColumns = columns
        self.isTransposed = isTransposed
    }

    /// Rows as read, after any transposition.
    public var rows: Int { isTransposed ? storedColumns.count : storedRows.count }
    /// Columns as read, after any transposition.
    public var columns: Int { isTransposed ? storedRows.count : storedColumns.count }

    /// Where the first value stands among the matrix's.
    var offset: Int { storedRows.lowerBound * matrix.columns + storedColumns.lowerBound }

    public var transposed: HalfSlice {
        HalfSlice(matrix: matrix, rows: storedRows, columns: storedColumns, isTransposed: !isTransposed)
    }

    /// Some of the rows of a slice that is not transposed.
    public subscript(rows rows: Range<Int>) -> HalfSlice {
        precondition(!isTransposed, "take the part first and transpose it then")
        precondition(rows.lowerBound >= 0 && rows.upperBound <= storedRows.count, "rows outside the slice")
        let start = storedRows.lowerBound
        return HalfSlice(
            matrix: matrix, rows: (start + rows.lowerBound)..<(start + rows.upperBound), columns: storedColumns,
            isTransposed: false)
    }
}
