import COneDNN
import CVectorKernels

/// A row-major, immutable matrix of bfloat16 values: Float32 with eight bits of its mantissa, in half the memory.
///
/// Some processors multiply such matrices several times as fast as Float32 ones. Sums are Float32 in either case.
public struct HalfMatrix: Sendable {
    public let rows: Int
    public let columns: Int
    private let values: [UInt16]

    /// Rounds a matrix's values to the nearest bfloat16, ties to even.
    public init(_ matrix: Matrix) {
        rows = matrix.rows
        columns = matrix.columns
        values = [UInt16](unsafeUninitializedCapacity: matrix.count) { buffer, count in
            if let base = buffer.baseAddress { tributary_to_bfloat16(matrix.pointer, base, matrix.count) }
            count = matrix.count
        }
    }

    public var slice: HalfSlice {
        HalfSlice(matrix: self, storedRows: 0..<rows, storedColumns: 0..<columns, isTransposed: false)
    }

    public var transposed: HalfSlice { slice.transposed }

    public subscript(columns columns: Range<Int>) -> HalfSlice { slice[rows: 0..<rows, columns: columns] }

    public subscript(rows rows: Range<Int>) -> HalfSlice { slice[rows: rows] }

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

    /// Rows as read, after any transposition.
    public var rows: Int { isTransposed ? storedColumns.count : storedRows.count }
    /// Columns as read, after any transposition.
    public var columns: Int { isTransposed ? storedRows.count : storedColumns.count }

    /// The index of the first value in the matrix.
    var offset: Int { storedRows.lowerBound * matrix.columns + storedColumns.lowerBound }

    public var transposed: HalfSlice {
        HalfSlice(matrix: matrix, storedRows: storedRows, storedColumns: storedColumns, isTransposed: !isTransposed)
    }

    /// Some of the rows of a slice that is not transposed.
    public subscript(rows rows: Range<Int>) -> HalfSlice { self[rows: rows, columns: 0..<storedColumns.count] }

    /// A part of a slice that is not transposed.
    subscript(rows rows: Range<Int>, columns columns: Range<Int>) -> HalfSlice {
        precondition(!isTransposed, "a part of a transposed slice: take the part first, then transpose")
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= storedRows.count && columns.lowerBound >= 0
                && columns.upperBound <= storedColumns.count,
            "\(rows) x \(columns) of a slice of \(storedRows.count) x \(storedColumns.count)")
        let (row, column) = (storedRows.lowerBound, storedColumns.lowerBound)
        return HalfSlice(
            matrix: matrix, storedRows: (row + rows.lowerBound)..<(row + rows.upperBound),
            storedColumns: (column + columns.lowerBound)..<(column + columns.upperBound), isTransposed: false)
    }
}

/// The right factor of a product, in either precision.
public enum Factor: Sendable {
    case single(MatrixSlice)
    case half(HalfSlice)

    public var transposed: Factor {
        switch self {
        case .single(let slice): .single(slice.transposed)
        case .half(let slice): .half(slice.transposed)
        }
    }

    /// Some of the rows of a factor that is not transposed.
    public subscript(rows rows: Range<Int>) -> Factor {
        switch self {
        case .single(let slice): .single(slice[rows: rows])
        case .half(let slice): .half(slice[rows: rows])
        }
    }

    /// Rows as read.
    public var rows: Int {
        switch self {
        case .single(let slice): slice.rows
        case .half(let slice): slice.rows
        }
    }

    /// Columns as read.
    public var columns: Int {
        switch self {
        case .single(let slice): slice.columns
        case .half(let slice): slice.columns
        }
    }
}

extension HalfMatrix {
    /// Whether this processor multiplies bfloat16 values in hardware. That is not always faster.
    public static let isSupported = tributary_has_bfloat16_products() != 0

    /// Whether products of bfloat16 values work in this process: oneDNN generates its code at run time, which a system can forbid.
    public static func canMultiply() -> Bool {
        let order = 32
        let factor = HalfMatrix(Matrix(rows: order, columns: order))
        var product = Matrix(rows: order, columns: order)
        let destination = product.uniquePointer()
        let done = factor.withPointer { values in
            let factor = tributary_factor(values: values, row_stride: order, column_stride: 1)
            return tributary_bfloat16_product(factor, factor, destination, order, order, order, order, 0)
        }
        return done == order
    }
}

extension Matrix {
    /// Becomes `left · right`.
    public mutating func formProduct(_ left: MatrixSlice, _ right: Factor) {
        resize(rows: left.rows, columns: right.columns)
        setBlock(row: 0, column: 0, toProduct: left, right)
    }

    /// Adds `left · right`.
    public mutating func addProduct(_ left: MatrixSlice, _ right: Factor) {
        precondition(rows == left.rows && columns == right.columns, "shapes differ")
        setBlock(row: 0, column: 0, toProduct: left, right, adding: true)
    }

    /// Writes `left · right` into the block that starts at the given row and column, or adds it there. If the right factor is bfloat16,
    /// the left one is rounded as well.
    ///
    /// - Precondition: If the right factor is bfloat16, the left one is not transposed.
    public mutating func setBlock(
        row: Int, column: Int, toProduct left: MatrixSlice, _ right: Factor, adding: Bool = false
    ) {
        switch right {
        case .single(let right): setBlock(row: row, column: column, toProduct: left, right, adding: adding)
        case .half(let right): setBlock(row: row, column: column, toProduct: left, right, adding: adding)
        }
    }

    private mutating func setBlock(
        row: Int, column: Int, toProduct left: MatrixSlice, _ right: HalfSlice, adding: Bool
    ) {
        precondition(left.columns == right.rows, "inner dimensions \(left.columns) and \(right.rows) differ")
        precondition(!left.isTransposed, "the left factor is transposed")
        precondition(
            row >= 0 && column >= 0 && row + left.rows <= rows && column + right.columns <= columns,
            "the product does not fit")
        guard left.rows > 0, right.columns > 0 else { return }
        let destination = uniquePointer() + row * columns + column
        let done = right.matrix.withPointer { values -> Int? in
            guard left.columns > 0, let rounded = tributary_thread_scratch(left.rows * left.columns) else { return nil }
            for row in 0..<left.rows {
                tributary_to_bfloat16(left.pointer + row * left.stride, rounded + row * left.columns, left.columns)
            }
            let stride = right.matrix.columns
            return tributary_bfloat16_product(
                tributary_factor(values: rounded, row_stride: left.columns, column_stride: 1),
                tributary_factor(
                    values: values + right.offset, row_stride: right.isTransposed ? 1 : stride,
                    column_stride: right.isTransposed ? stride : 1),
                destination, columns, left.rows, left.columns, right.columns, adding ? 1 : 0)
        }
        let remaining = (done ?? 0)..<left.rows
        guard !remaining.isEmpty else { return }
        // Float32 takes over if memory ran out, there are no values, or oneDNN has no such product for this processor. It is slower, with
        // the same result.
        setBlock(
            row: row + remaining.lowerBound, column: column,
            toProduct: HalfMatrix(Matrix(left[rows: remaining])).singles.slice, Matrix(right).slice, adding: adding)
    }

    /// A slice's values, as Float32.
    private init(_ slice: HalfSlice) {
        let whole = slice.matrix.singles
        let part = whole[rows: slice.storedRows, columns: slice.storedColumns]
        self.init(slice.isTransposed ? part.transposed : part)
    }

    /// Becomes the given rows of a factor that is not transposed, in the order of the indices, as Float32.
    public mutating func gatherRows(_ indices: [Int], of source: Factor) {
        precondition(indices.allSatisfy { $0 >= 0 && $0 < source.rows }, "row outside the matrix")
        resize(rows: indices.count, columns: source.columns)
        switch source {
        case .single(let slice):
            for (row, index) in indices.enumerated() { copy(slice[rows: index..<(index + 1)], toRow: row, column: 0) }
        case .half(let slice):
            precondition(!slice.isTransposed, "rows of a transposed factor")
            let destination = uniquePointer()
            _ = slice.matrix.withPointer { values in
                for (row, index) in indices.enumerated() {
                    let start = slice.offset + index * slice.matrix.columns
                    tributary_from_bfloat16(values + start, destination + row * columns, columns)
                }
                return ()
            }
        }
    }
}

extension HalfMatrix {
    /// The values as Float32, each exactly.
    public var singles: Matrix {
        var matrix = Matrix(rows: rows, columns: columns)
        let destination = matrix.uniquePointer()
        _ = withPointer { tributary_from_bfloat16($0, destination, rows * columns) }
        return matrix
    }
}
