import COneDNN
import CVectorKernels

/// The right-hand factor of a product, in either precision.
public enum Factor: Sendable {
    case single(MatrixSlice)
    case half(HalfSlice)

    public var transposed: Factor {
        switch self {
        case .single(let slice): .single(slice.transposed)
        case .half(let slice): .half(slice.transposed)
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
    /// Whether this processor multiplies bfloat16 values itself. Not every one that does is the faster for it.
    public static let isSupported = tributary_has_bfloat16_products() != 0

    /// Whether such a product could be made just now: oneDNN writes the code for it, which a system may forbid a process to do.
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

    /// Writes `left · right` into the block that starts at the given place, or adds it there. Before a factor of bfloat16 the left
    /// one, which must not be transposed, is rounded as well.
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
                    values: values + right.storedColumns.lowerBound, row_stride: right.isTransposed ? 1 : stride,
                    column_stride: right.isTransposed ? stride : 1),
                destination, columns, left.rows, left.columns, right.columns, adding ? 1 : 0)
        }
        let rest = (done ?? 0)..<left.rows
        guard !rest.isEmpty else { return }
        // Short of memory, no values at all, or a processor for which oneDNN has no such product: slower, and the same.
        setBlock(
            row: row + rest.lowerBound, column: column,
            toProduct: HalfMatrix(Matrix(left[rows: rest])).singles.slice, Matrix(right).slice, adding: adding)
    }

    /// The values of some columns, not transposed or transposed, as Float32.
    private init(_ slice: HalfSlice) {
        let whole = slice.matrix.singles
        let columns = whole[columns: slice.storedColumns]
        self.init(slice.isTransposed ? columns.transposed : columns)
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
