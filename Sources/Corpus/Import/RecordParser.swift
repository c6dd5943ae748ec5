import JSON

extension CorpusRecord {
    /// Reads a record's fields.
    ///
    /// - Throws: ``CorpusImportError``, with the record's location, if something is wrong with it.
    init(_ raw: RawRecord) throws(CorpusImportError) {
        try raw.requireUTF8()
        switch raw.format {
        case .plainText:
            self.init(text: String(decoding: raw.bytes, as: UTF8.self), location: raw.location)
        case .jsonLines:
            let fields = try JSONFields(raw)
            self.init(
                id: fields.id, text: fields.text, source: fields.source, metadata: fields.metadata,
                location: raw.location)
        }
        try validate()
    }

    /// Refuses what must not get into a corpus.
    func validate() throws(CorpusImportError) {
        // Clients take these two out of a path before they send it, percent-encoded or not (RFC 3986 section 5.2.4).
        if let id, id == "." || id == ".." { throw .dotSegment(location: location, id: id) }
        guard !text.utf8.allSatisfy(\.isWhitespace) else { throw .emptyField(location: location, field: "text") }
        for (field, value) in [("id", id), ("text", text), ("source", source)] {
            guard let value else { continue }
            // SQLite's text ends at the first NUL character for much of its interface (sqlite.org/nulinstr.html).
            guard !value.utf8.contains(0) else { throw .nulCharacter(location: location, field: field) }
            guard !value.isEmpty else { throw .emptyField(location: location, field: field) }
            guard field == "text" || value.utf8.count <= CorpusDocument.maximumNameBytes else {
                throw .nameTooLong(
                    location: location, field: field, bytes: value.utf8.count, limit: CorpusDocument.maximumNameBytes)
            }
        }
    }
}

extension RawRecord {
    /// Refuses bytes that are not UTF-8, naming the line they are on.
    fileprivate func requireUTF8() throws(CorpusImportError) {
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

/// The fields of a JSON line, each of the right type.
private struct JSONFields {
    var id: String?
    var text: String
    var source: String?
    var metadata: String?

    init(_ raw: RawRecord) throws(CorpusImportError) {
        let location = raw.location
        let tree = try raw.tree()
        guard case .object = tree else {
            throw .wrongType(location: location, field: nil, expected: "an object", found: tree.kind)
        }

        func refuse(_ field: String, _ found: JSONTree, expected: String) -> CorpusImportError {
            .wrongType(location: location, field: field, expected: expected, found: found.kind)
        }
        switch tree["id"] ?? .null {
        case .null: break
        case .string(let string): id = string
        case let number:
            guard let digits = number.wholeDigits else {
                throw refuse("id", number, expected: "a string or an integer")
            }
            id = digits
        }
        switch tree["text"] ?? .null {
        case .null: throw .missingText(location: location)
        case .string(let string): text = string
        case let other: throw refuse("text", other, expected: "a string")
        }
        switch tree["source"] ?? .null {
        case .null: break
        case .string(let string): source = string
        case let other: throw refuse("source", other, expected: "a string")
        }
        switch tree["metadata"] ?? .null {
        case .null: break
        case let object:
            guard case .object = object else { throw refuse("metadata", object, expected: "an object") }
            // As it came: digits, and the order of members.
            metadata = object.text
        }
    }
}

extension RawRecord {
    fileprivate func tree() throws(CorpusImportError) -> JSONTree {
        do {
            return try JSONReader.readLine(bytes)
        } catch {
            let place = CorpusInputLocation(file: location.file, line: location.line + error.line - 1)
            throw .malformedJSON(location: place, reason: "column \(error.column): \(error.reason).")
        }
    }
}

extension JSONTree {
    /// A whole number as an identifier: without fraction and exponent, and as long as it is.
    fileprivate var wholeDigits: String? {
        guard case .number(let digits) = self else { return nil }
        let isWhole = !digits.utf8.contains {
            $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E")
        }
        if isWhole { return digits == "-0" ? "0" : digits }
        return Double(digits).flatMap { Int64(exactly: $0) }.map(String.init)
    }
}
