/// The names of the fields from which a document is read, in JSON objects and in the rows of tables alike.
///
/// Other fields are ignored; of a table whose format allows it, they are not even read.
public struct RecordFields: Sendable, Equatable {
    /// The field with the document's text.
    public var text: String

    static let id = "id"
    static let source = "source"
    static let metadata = "metadata"

    public init(text: String = "text") {
        self.text = text
    }

    /// The columns to read of a table.
    ///
    /// - Returns: A missing text column is among them, so that the table's reader refuses it with the names of the columns that there are.
    func selection(from columns: [String]) -> [String] {
        [text] + [Self.id, Self.source, Self.metadata].filter { $0 != text && columns.contains($0) }
    }
}
