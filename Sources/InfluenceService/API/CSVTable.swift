/// A table as comma-separated values (RFC 4180), safe to open in a spreadsheet.
///
/// Spreadsheets run a cell as a formula that begins with `=`, `+`, `-` or `@`, also behind a tab or a line break. What a corpus's texts
/// and ids say must not run anywhere: a text that begins so gets an apostrophe in front, and so does one that begins with apostrophes
/// and then so. A reader that takes away one apostrophe there has the text as it was. Numbers stay as they are.
struct CSVTable {
    enum Cell {
        /// A number or a word of our own.
        case value(String)
        /// What others wrote.
        case text(String)
        case empty

        static func text(_ text: String?) -> Cell { text.map { .text($0) } ?? .empty }
    }

    private(set) var text: String

    init(header: [String]) { text = header.joined(separator: ",") + "\r\n" }

    mutating func append(_ row: [Cell]) {
        text += row.map(Self.field).joined(separator: ",") + "\r\n"
    }

    private static func field(_ cell: Cell) -> String {
        switch cell {
        case .value(let value): value
        case .text(let text): quoted(wouldRun(text) ? "'" + text : text)
        case .empty: ""
        }
    }

    /// Whether a spreadsheet would take the text for a formula, or an apostrophe of its own for one that was put there.
    private static func wouldRun(_ text: String) -> Bool {
        guard let first = text.utf8.first(where: { $0 != UInt8(ascii: "'") }) else { return false }
        return "=+-@\t\r\n".utf8.contains(first)
    }

    /// A field as RFC 4180 section 2 has it.
    private static func quoted(_ field: String) -> String {
        let needsQuotes = field.unicodeScalars.contains { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }
        guard needsQuotes else { return field }
        // By code points: a quotation mark and an accent on it are one character.
        let doubled = field.unicodeScalars.reduce(into: String.UnicodeScalarView()) { scalars, scalar in
            scalars.append(scalar)
            if scalar == "\"" { scalars.append(scalar) }
        }
        return "\"\(String(doubled))\""
    }
}
