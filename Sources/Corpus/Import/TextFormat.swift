import JSON

/// Decides between JSON lines, JSON arrays, separated values and plain text, and refuses inputs that could be two of them.
///
/// The requested format decides first, then the file's name, then the beginning: `{` begins JSON lines, and a row of column names a
/// table. JSON or a table in a file named as text would become one document: they are refused, unless plain text was requested.
struct TextFormat {
    /// The first bytes of the text, after a byte order mark.
    let start: [UInt8]

    /// - Throws: ``CorpusImportError/foreignFormat(file:_:)``, ``CorpusImportError/jsonNamedAsText(file:)``.
    func format(of input: CorpusInput) throws(CorpusImportError) -> CorpusInput.Format {
        let content = start.drop(while: \.isWhitespace)
        let isArray = content.first == UInt8(ascii: "[") && isArray(content)
        if let format = input.format { return format == .jsonLines && isArray ? .jsonArray : format }
        switch input.named {
        case .jsonLines?: return isArray ? .jsonArray : .jsonLines
        case .plainText?:
            if isArray || beginsObject(content) { throw .jsonNamedAsText(file: input.name) }
            if let table = headerOfTable(content) { throw .foreignFormat(file: input.name, .namedAsText(table)) }
            return .plainText
        case let format?: return format
        case nil:
            if isArray { return .jsonArray }
            if content.first == UInt8(ascii: "{") { return .jsonLines }
            return headerOfTable(content) ?? .plainText
        }
    }

    /// Whether the text begins like an array of objects, or is another array as far as it is known.
    private func isArray(_ content: ArraySlice<UInt8>) -> Bool {
        beginsObject(content.dropFirst().drop(while: \.isWhitespace)) || isJSON(content)
    }

    /// Whether an object begins here: with a member's name and a colon, or with its end.
    private func beginsObject(_ content: ArraySlice<UInt8>) -> Bool {
        guard content.first == UInt8(ascii: "{") else { return false }
        let inside = content.dropFirst().drop(while: \.isWhitespace)
        guard inside.first == UInt8(ascii: "\"") else { return inside.first == UInt8(ascii: "}") }
        let name = inside.dropFirst().drop { $0 != UInt8(ascii: "\"") && $0 >= 0x20 }
        return name.dropFirst().drop(while: \.isWhitespace).first == UInt8(ascii: ":")
    }

    /// Whether the text is JSON, or the beginning of JSON.
    private func isJSON(_ content: ArraySlice<UInt8>) -> Bool {
        do {
            _ = try JSONReader.read(Array(content))
            return true
        } catch {
            return error.isAtEnd
        }
    }

    /// The table format whose header is the first line: names without spaces, one of them the name of a text field. Prose has no such
    /// line.
    private func headerOfTable(_ content: ArraySlice<UInt8>) -> CorpusInput.Format? {
        let line = firstLine(of: content)
        for (separator, format) in [
            (UInt8(ascii: ","), CorpusInput.Format.commaSeparated), (UInt8(ascii: "\t"), .tabSeparated),
        ] {
            let names = line.split(separator: separator, omittingEmptySubsequences: false).map { name in
                String(decoding: name.filter { $0 != UInt8(ascii: "\"") }, as: UTF8.self)
            }
            guard names.count > 1, names.allSatisfy({ $0.utf8.allSatisfy(\.isNameCharacter) && !$0.isEmpty }) else {
                continue
            }
            if names.contains(where: { ["text", "prompt", "completion", "content"].contains($0.lowercased()) }) {
                return format
            }
        }
        return nil
    }

    private func firstLine(of content: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let line = content.prefix { $0 != UInt8(ascii: "\n") }
        return line.last == UInt8(ascii: "\r") ? line.dropLast() : line
    }
}

extension UInt8 {
    fileprivate var isNameCharacter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
