import JSON

/// A table that is read row by row.
///
/// The columns are known before the first row. A reader holds a few pages or buffers of the selected columns, never the table.
public protocol TableReader: AnyObject {
    /// The names of all columns, in their order.
    var columns: [String] { get }

    /// Chooses the columns of the rows; without this call rows have all of them. Must be called before the first row is read.
    ///
    /// - Throws: ``TableError/missingColumn(file:column:columns:)``, ``TableError/unsupported(file:feature:advice:)`` for a column whose
    ///   type cannot be read, ``TableError/corrupt(file:reason:)`` for a name that several columns have.
    func select(_ names: [String]) throws

    /// The next row; nil at the end.
    ///
    /// - Throws: ``TableError``, or whatever reading the input throws. The reader cannot be used afterwards.
    func nextRow() throws -> TableRow?

    /// The number of bytes read, of those that the input has on disk. A reader that leaves columns out counts the bytes of the rows that
    /// it has passed.
    var bytesRead: Int { get }
}

/// A row of a table.
public struct TableRow: Sendable, Equatable {
    /// The row's number, from 1; a header is not counted.
    public let number: Int
    /// The line on which the row begins, from 1; nil in a format without lines.
    public let line: Int?
    /// The bytes of its values, about.
    public let size: Int
    /// An object with the selected columns in their order, or what is wrong with the row. Reading can continue after such a row.
    public let values: Result<JSONTree, TableError>
}

/// The limits on tables from outside.
public enum TableLimits {
    /// The most bytes of one row's values.
    public static let rowSize = 64 << 20
    /// The most columns, fields inside columns included.
    static let columns = 1 << 14
    /// The deepest nesting of lists and objects inside a column.
    static let depth = 32
    /// The most bytes of a file's description: a Parquet footer, a message's header in Arrow.
    static let metadataSize = 64 << 20
    /// The most bytes of one page of a Parquet file, decompressed.
    static let pageSize = 256 << 20
    /// The most bytes of the values that a column refers to by number.
    static let dictionarySize = 128 << 20
}

/// Adds up the size of a row's values, so that a small forged file cannot become a large row.
final class RowBudget {
    let limit: Int
    private(set) var used = 0
    /// The first mistake in the row that leaves the rest of the table readable.
    private(set) var flaw: (column: String, reason: String)?

    /// What a value without bytes of its own counts for.
    private static let valueSize = 16

    init(limit: Int) { self.limit = limit }

    func startRow() {
        used = 0
        flaw = nil
    }

    /// - Throws: ``RowTooLong`` if the row cannot have this value.
    func add(_ bytes: Int = 0) throws {
        guard bytes <= limit - used - Self.valueSize else { throw RowTooLong() }
        used += bytes + Self.valueSize
    }

    func note(_ reason: String, in column: String) {
        if flaw == nil { flaw = (column, reason) }
    }

    /// A row of these values; a flawed one if a mistake was noted.
    func row(_ number: Int, _ tree: JSONTree, file: String) -> TableRow {
        let values: Result<JSONTree, TableError> =
            if let flaw {
                .failure(.badValue(file: file, row: number, line: nil, column: flaw.column, reason: flaw.reason))
            } else {
                .success(tree)
            }
        return TableRow(number: number, line: nil, size: used, values: values)
    }
}

/// Says that a row's values have more bytes than the limit.
struct RowTooLong: Error {}
