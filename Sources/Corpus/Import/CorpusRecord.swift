import JSON

/// A document to be added to a corpus; ``CorpusImport`` makes these from files.
public struct CorpusRecord: Sendable, Equatable {
    /// The external identifier, unique in the corpus. Without one, the document is named after its content hash.
    public var id: String?
    /// The text: not empty, without NUL characters. It is empty for chats and tokens, from which it is made later.
    public var text: String
    /// What is trained on, and where its loss is.
    public var row = TrainingRow.text
    /// The origin of the document; candidates can be filtered by it.
    public var source: String?
    /// A JSON object, as text.
    public var metadata: String?
    /// Of a chat, how many of its first messages were left out because it was too long; nil for other rows.
    var droppedMessages: Int?
    /// The file and line or row from which the record was read.
    public var location: CorpusInputLocation
}

/// A line of an input, or a row of a table without lines.
public struct CorpusInputLocation: Sendable, Equatable, CustomStringConvertible {
    /// The name of the file, without its folder; `standard input` where there is none.
    public var file: String
    /// The line or the row, from 1.
    public var line: Int
    /// Whether ``line`` counts rows.
    public var isRow = false

    public var description: String { isRow ? "\(file), row \(line)" : "\(file):\(line)" }
}

extension CorpusRecord {
    /// - Throws: ``CorpusImportError`` with the record's location.
    init(_ raw: RawRecord, rows: RowFields = RowFields()) throws(CorpusImportError) {
        switch raw.content {
        case .paragraph(let bytes):
            try raw.requireUTF8(bytes)
            self.init(text: String(decoding: bytes, as: UTF8.self), location: raw.location)
        case .json(let bytes):
            try raw.requireUTF8(bytes)
            try self.init(JSONFields(try raw.tree(bytes), rows, at: raw.location), at: raw.location)
        case .row(let tree):
            try self.init(JSONFields(tree, rows, at: raw.location, isOfTable: true), at: raw.location)
        case .refused(let error):
            throw error
        }
        try validate(textField: rows.text.description)
    }

    private init(_ fields: JSONFields, at location: CorpusInputLocation) {
        self.init(
            id: fields.id, text: fields.text, row: fields.row, source: fields.source, metadata: fields.metadata,
            location: location)
    }

    /// Refuses fields that must not get into a corpus.
    func validate(textField: String = "text") throws(CorpusImportError) {
        // Clients remove these two from a path before they send it, percent-encoded or not (RFC 3986 section 5.2.4).
        if let id, id == "." || id == ".." { throw .dotSegment(location: location, id: id) }
        guard !row.hasText || !text.utf8.allSatisfy(\.isWhitespace) else {
            throw .emptyField(location: location, field: textField)
        }
        for (field, value) in [("id", id), (textField, text), ("source", source)] {
            guard let value else { continue }
            // Much of SQLite's interface ends a text at its first NUL character (sqlite.org/nulinstr.html).
            guard !value.utf8.contains(0) else { throw .nulCharacter(location: location, field: field) }
            guard !value.isEmpty || field == textField else { throw .emptyField(location: location, field: field) }
            guard field == textField || value.utf8.count <= CorpusDocument.maximumNameBytes else {
                throw .nameTooLong(
                    location: location, field: field, bytes: value.utf8.count, limit: CorpusDocument.maximumNameBytes)
            }
        }
    }
}

extension RawRecord {
    /// Refuses bytes that are not UTF-8, with the line that they are on.
    fileprivate func requireUTF8(_ bytes: [UInt8]) throws(CorpusImportError) {
        do {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            let valid = bytes[..<error.byteOffsets.lowerBound]
            let lineBreaks = valid.count { $0 == UInt8(ascii: "\n") }
            let lineStart = valid.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
            throw .invalidUTF8(
                location: CorpusInputLocation(file: location.file, line: location.line + lineBreaks),
                column: valid.count - lineStart + 1)
        }
    }
}

/// The fields of an object, each of the right type.
private struct JSONFields {
    let id: String?
    let text: String
    let row: TrainingRow
    let source: String?
    let metadata: String?

    /// - Parameter isOfTable: Whether the object is a row of a table, which has all fields: null is then not the same as an absent text, and
    ///   metadata can be JSON in a string.
    init(
        _ tree: JSONTree, _ rows: RowFields, at location: CorpusInputLocation, isOfTable: Bool = false
    ) throws(CorpusImportError) {
        guard case .object = tree else {
            throw .wrongType(location: location, field: nil, expected: "an object", found: tree.kind)
        }
        /// The value of a field in the expected form; nil if the field is absent or null.
        func field(
            _ name: String, expected: String, _ value: (JSONTree) -> String?
        ) throws(CorpusImportError) -> String? {
            guard let found = tree[name], found != .null else { return nil }
            guard let value = value(found) else {
                throw .wrongType(location: location, field: name, expected: expected, found: found.kind)
            }
            return value
        }
        id = try field(RowFields.id, expected: "a string or an integer") { $0.string ?? $0.wholeDigits }
        (row, text) = try TrainingRow.read(tree, rows, at: location, isOfTable: isOfTable)
        source = try field(RowFields.source, expected: "a string", \.string)
        metadata = try field(RowFields.metadata, expected: "an object") { object in
            var object = object
            if isOfTable, case .string(let text) = object, let parsed = try? JSONReader.read(Array(text.utf8)) {
                object = parsed
            }
            guard case .object = object else { return nil }
            // As it was sent: with all digits, and its members in their order.
            return object.text
        }
    }
}

extension RawRecord {
    fileprivate func tree(_ bytes: [UInt8]) throws(CorpusImportError) -> JSONTree {
        do {
            return try JSONReader.readLine(bytes)
        } catch {
            let place = CorpusInputLocation(file: location.file, line: location.line + error.line - 1)
            throw .malformedJSON(location: place, reason: "column \(error.column): \(error.reason).")
        }
    }
}

extension JSONTree {
    fileprivate var string: String? { if case .string(let text) = self { text } else { nil } }

    /// A whole number as an identifier: its digits, without a fraction or an exponent. They can be of any length if they were sent in this
    /// form.
    fileprivate var wholeDigits: String? {
        guard case .number(let digits) = self else { return nil }
        let isWhole = !digits.utf8.contains {
            $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E")
        }
        if isWhole { return digits == "-0" ? "0" : digits }
        return Double(digits).flatMap { Int64(exactly: $0) }.map(String.init)
    }
}
