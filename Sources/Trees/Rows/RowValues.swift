import JSON
import Tables

/// The values of some rows as the file has them, all columns.
public struct RowValues: Sendable {
    public let columns: [String]
    /// The values in the order of the columns, by the row's index from 0.
    public let rows: [Int: [JSONTree]]

    /// Reads the file up to the last of the rows.
    ///
    /// - Throws: `TableError`.
    public static func read(path: String, name: String? = nil, rows wanted: Set<Int>) throws -> RowValues {
        let table = try RowReader.table(path, name: name ?? path)
        var found: [Int: [JSONTree]] = [:]
        while found.count < wanted.count, let row = try table.nextRow() {
            guard wanted.contains(row.number - 1), case .object(let members) = try row.values.get() else { continue }
            found[row.number - 1] = members.map(\.value)
        }
        return RowValues(columns: table.columns, rows: found)
    }
}
