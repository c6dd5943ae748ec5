/// A rectangular part of a matrix, perhaps transposed, for reading.
///
/// A slice keeps the matrix's values alive. Writing to the matrix while a slice exists copies the values first, so a slice never
/// changes.
public struct MatrixSlice: Sendable {
    /// Rows as read, after any transposition.
    public var rows: Int { isTransposed ? storedColumns : storedRows }
    /// Columns as read, after any transposition.
    public var columns: Int { isTransposed ? storedRows : storedColumns }

    let storage: AlignedStorage
    let offset: Int
    /// Distance between stored rows.
    let stride: Int
    let storedRows: Int
    let storedColumns: Int
    let isTransposed: Bool

    /// The same values with rows and columns exchanged. Nothing is copied.
    public var transposed: MatrixSlice {
        MatrixSlice(
            storage: storage, offset: offset, stride: stride, storedRows: storedRows, storedColumns: storedColumns,
            isTransposed: !isTransposed)
    }

    /// A part of a slice that is not transposed.
    public subscript(rows rows: Range<Int>, columns columns: Range<Int>) -> MatrixSlice {
        precondition(!isTransposed, "a part of a transposed slice: take the part first, then transpose")
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= storedRows && columns.lowerBound >= 0
                && columns.upperBound <= storedColumns,
            "\(rows) x \(columns) of a slice of \(storedRows) x \(storedColumns)")
        return MatrixSlice(
            storage: storage, offset: offset + rows.lowerBound * stride + columns.lowerBound, stride: stride,
            storedRows: rows.count, storedColumns: columns.count, isTransposed: false)
    }

    public subscript(rows rows: Range<Int>) -> MatrixSlice { self[rows: rows, columns: 0..<storedColumns] }

    public subscript(columns columns: Range<Int>) -> MatrixSlice { self[rows: 0..<storedRows, columns: columns] }

    /// Every `step`th row of a slice that is not transposed, starting with row `first`.
    public func everyRow(from first: Int, step: Int) -> MatrixSlice {
        precondition(!isTransposed, "a part of a transposed slice: take the part first, then transpose")
        precondition(first >= 0 && step > 0, "rows from \(first) in steps of \(step)")
        return MatrixSlice(
            storage: storage, offset: offset + first * stride, stride: stride * step,
            storedRows: max(0, storedRows - first + step - 1) / step, storedColumns: storedColumns, isTransposed: false)
    }

    /// The slices side by side. Nothing is copied if they are already neighbours in one matrix.
    ///
    /// - Parameter width: The columns that each slice takes, padded with zeros.
    /// - Precondition: The slices have equally many rows, at most `width` columns, and are not transposed.
    public static func joined(_ slices: [MatrixSlice], width: Int) -> MatrixSlice {
        guard let first = slices.first else { return Matrix().slice }
        precondition(slices.allSatisfy { !$0.isTransposed && $0.rows == first.rows && $0.columns <= width })
        let areAdjacent = slices.enumerated().allSatisfy { index, slice in
            slice.storage === first.storage && slice.stride == first.stride && slice.columns == width
                && slice.offset == first.offset + index * width
        }
        if areAdjacent {
            return MatrixSlice(
                storage: first.storage, offset: first.offset, stride: first.stride, storedRows: first.rows,
                storedColumns: slices.count * width, isTransposed: false)
        }
        var joined = Matrix(rows: first.rows, columns: slices.count * width)
        for (index, slice) in slices.enumerated() { joined.copy(slice, toRow: 0, column: index * width) }
        return joined.slice
    }

    public subscript(row: Int, column: Int) -> Float {
        precondition(row >= 0 && row < rows && column >= 0 && column < columns, "index outside the slice")
        return isTransposed ? pointer[column * stride + row] : pointer[row * stride + column]
    }

    var pointer: UnsafePointer<Float> { UnsafePointer(storage.pointer + offset) }
}

extension Matrix {
    /// The whole matrix as a slice.
    public var slice: MatrixSlice {
        MatrixSlice(
            storage: retainedStorage, offset: 0, stride: columns, storedRows: rows, storedColumns: columns,
            isTransposed: false)
    }

    public var transposed: MatrixSlice { slice.transposed }

    /// The matrix with rows and columns exchanged in memory.
    public func transposedCopy() -> Matrix { Matrix(transposed) }

    public subscript(rows rows: Range<Int>) -> MatrixSlice { slice[rows: rows] }

    public subscript(columns columns: Range<Int>) -> MatrixSlice { slice[columns: columns] }

    public subscript(rows rows: Range<Int>, columns columns: Range<Int>) -> MatrixSlice {
        slice[rows: rows, columns: columns]
    }

    /// A matrix that holds a slice's values.
    public init(_ slice: MatrixSlice) {
        self.init(unspecifiedRows: slice.rows, columns: slice.columns)
        copy(slice, toRow: 0, column: 0)
    }

    /// Writes a slice's values into the block that starts at the given row and column.
    public mutating func copy(_ slice: MatrixSlice, toRow row: Int, column: Int) {
        precondition(row >= 0 && column >= 0 && row + slice.rows <= rows && column + slice.columns <= columns)
        let stride = columns
        let destination = uniquePointer() + row * stride + column
        let source = slice.pointer
        if slice.isTransposed {
            for r in 0..<slice.rows {
                for c in 0..<slice.columns { destination[r * stride + c] = source[c * slice.stride + r] }
            }
        } else {
            for r in 0..<slice.rows {
                (destination + r * stride).update(from: source + r * slice.stride, count: slice.columns)
            }
        }
    }

    /// Becomes a copy of another matrix, in this one's own memory.
    public mutating func copyValues(of source: Matrix) {
        resize(rows: source.rows, columns: source.columns)
        uniquePointer().update(from: source.pointer, count: count)
    }

    /// Writes a matrix's values, row after row, into one row.
    public mutating func setRow(_ row: Int, to values: Matrix) {
        precondition(
            row >= 0 && row < rows && values.count == columns,
            "\(values.count) values into row \(row) of \(rows) x \(columns)")
        (uniquePointer() + row * columns).update(from: values.pointer, count: columns)
    }

    /// Becomes the given rows of another matrix, in the order of the indices.
    public mutating func gatherRows(_ indices: [Int], of source: Matrix) {
        resize(rows: indices.count, columns: source.columns)
        let destination = uniquePointer()
        for (r, index) in indices.enumerated() {
            precondition(index >= 0 && index < source.rows, "row \(index) of \(source.rows)")
            (destination + r * columns).update(from: source.pointer + index * columns, count: columns)
        }
    }

    /// Becomes a matrix of `rows` rows. The rows at the indices are the first rows of the source, in order; all others are zero.
    public mutating func scatterRows(of source: Matrix, to indices: [Int], rows: Int) {
        precondition(indices.count <= source.rows, "\(indices.count) rows of a matrix that has \(source.rows)")
        resize(rows: rows, columns: source.columns, filledWith: 0)
        let destination = uniquePointer()
        for (r, index) in indices.enumerated() {
            precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
            (destination + index * columns).update(from: source.pointer + r * columns, count: columns)
        }
    }

    /// Fills one column with a value.
    public mutating func fillColumn(_ column: Int, with value: Float) {
        precondition(column >= 0 && column < columns)
        let base = uniquePointer() + column
        for r in 0..<rows { base[r * columns] = value }
    }
}
