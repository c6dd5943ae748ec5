import Foundation
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
        let value: JSONValue
        do {
            value = try JSONDecoder().decode(JSONValue.self, from: Data(raw.bytes))
        } catch {
            throw .malformedJSON(location: location, reason: Self.reason(raw.bytes))
        }
        guard case .object(let fields) = value else {
            throw .wrongType(location: location, field: nil, expected: "an object", found: value.kind)
        }

        func refuse(_ field: String, _ found: JSONValue, expected: String) -> CorpusImportError {
            .wrongType(location: location, field: field, expected: expected, found: found.kind)
        }
        switch fields["id"] ?? .null {
        case .null: break
        case .string(let string): id = string
        case .integer(let integer): id = String(integer)
        case .unsignedInteger(let integer): id = String(integer)
        case let other: throw refuse("id", other, expected: "a string or an integer")
        }
        switch fields["text"] ?? .null {
        case .null: throw .missingText(location: location)
        case .string(let string): text = string
        case let other: throw refuse("text", other, expected: "a string")
        }
        switch fields["source"] ?? .null {
        case .null: break
        case .string(let string): source = string
        case let other: throw refuse("source", other, expected: "a string")
        }
        switch fields["metadata"] ?? .null {
        case .null: break
        case .object(let object): metadata = JSONValue.object(object).encoded
        case let other: throw refuse("metadata", other, expected: "an object")
        }
    }

    /// What is wrong with bytes that are not JSON: JSONDecoder does not say where it stopped, JSONSerialization does.
    private static func reason(_ bytes: [UInt8]) -> String {
        do {
            _ = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            return "it cannot be decoded."
        } catch {
            let reason = (error as NSError).userInfo["NSDebugDescription"] as? String
            return reason ?? error.localizedDescription
        }
    }
}
