import Foundation
import Tables

/// Why an input, or a record of it, cannot be imported.
public enum CorpusImportError: Error, Equatable {
    case missingFile(path: String)
    case isFolder(path: String)
    case unreadable(path: String, reason: String)
    case truncatedCompression(file: String)
    /// The data does not match its compression or its checksum.
    case corruptCompression(file: String, reason: String)
    /// The data of a zstd file refers back further than the limit.
    case windowTooLarge(file: String, limit: Int)
    /// A folder or a pattern without files that can be imported.
    case noFiles(path: String, unknown: [String])
    /// A folder with a dataset of several splits.
    case severalSplits(path: String, splits: [String])
    /// A table, or a row of it, cannot be read.
    case table(TableError)
    case foreignFormat(file: String, ForeignFormat)
    /// The file is named as plain text, but contains JSON.
    case jsonNamedAsText(file: String)
    case tooManyRecords(name: String, limit: Int)
    /// A line, or a paragraph, is too long to be held in memory.
    case tooLong(location: CorpusInputLocation, limit: Int)
    /// A line is not UTF-8 from this byte on, counted from 1.
    case invalidUTF8(location: CorpusInputLocation, column: Int)
    case malformedJSON(location: CorpusInputLocation, reason: String)
    /// A line, or a field of it, is JSON of an unexpected type. `field` is nil for the line.
    case wrongType(location: CorpusInputLocation, field: String?, expected: String, found: String)
    /// A record has no fields that could be trained on.
    case missingRow(location: CorpusInputLocation, fields: RowFields, present: [String])
    /// A record has the fields of several kinds of rows.
    case ambiguousRow(location: CorpusInputLocation, kinds: [RowFields.Kind])
    case missingField(location: CorpusInputLocation, field: String, present: [String])
    /// The value of a field cannot be used.
    case unusable(location: CorpusInputLocation, field: String, reason: String)
    /// A text or an identifier is empty or consists of white space.
    case emptyField(location: CorpusInputLocation, field: String)
    case nulCharacter(location: CorpusInputLocation, field: String)
    /// An identifier or a source is longer than a URL can carry.
    case nameTooLong(location: CorpusInputLocation, field: String, bytes: Int, limit: Int)
    /// The identifier is `.` or `..`, which a URL cannot name.
    case dotSegment(location: CorpusInputLocation, id: String)
    /// The identifier belongs to another text, or to a piece of one.
    case identifierTaken(location: CorpusInputLocation, id: String)
    /// The tokenizer refused the text.
    case untokenizable(location: CorpusInputLocation, reason: String)
    case cancelled
    case store(CorpusError)
}

extension CorpusImportError: CustomStringConvertible, LocalizedError {
    public var description: String {
        switch self {
        case .missingFile(let path):
            "\(path): there is no such file."
        case .isFolder(let path):
            "\(path): this is a folder. Name the files in it."
        case .unreadable(let path, let reason):
            "\(path): the file cannot be read: \(reason)"
        case .truncatedCompression(let file):
            "\(file): the compressed file ends before its data does. Copy or download it again."
        case .corruptCompression(let file, let reason):
            "\(file): the compressed file is damaged (\(reason)). Copy or download it again."
        case .windowTooLarge(let file, let limit):
            "\(file): the file needs more than \(limit >> 20) MiB to decompress. Compress it again without --long: zstd -dc --long=31 FILE | zstd"
        case .noFiles(let path, let unknown) where unknown.isEmpty:
            "\(path): there are no files."
        case .noFiles(let path, let unknown):
            "\(path): there are no files in a known format, only \(unknown.prefix(5).joined(separator: ", "))"
                + "\(unknown.count > 5 ? " and \(unknown.count - 5) more" : ""). Name a file to import it all the same."
        case .severalSplits(let path, let splits):
            "\(path): this is a dataset of the splits \(splits.joined(separator: ", ")). Name the folder of one: "
                + "\(path)/\(splits.first ?? "train")"
        case .table(let error):
            error.description
        case .foreignFormat(let file, let format):
            "\(file): this is \(format.name), which cannot be imported. \(format.advice)"
        case .jsonNamedAsText(let file):
            "\(file): the file is named as plain text but contains JSON. Give --format jsonl or --format text."
        case .tooManyRecords(let name, let limit):
            "\(name): there are more than \(limit) records. Send them in parts."
        case .tooLong(let location, let limit):
            "\(location): the record is longer than \(limit) bytes. Split it into several documents."
        case .invalidUTF8(let location, let column):
            "\(location): the line is not UTF-8, from its byte \(column). Convert the file to UTF-8."
        case .malformedJSON(let location, let reason):
            "\(location): the line is not JSON: \(reason) Each line must be one object "
                + "like {\"id\": \"a1\", \"text\": \"...\"}."
        case .wrongType(let location, nil, let expected, let found):
            "\(location): the line is \(found); \(expected) is expected."
        case .wrongType(let location, let field?, let expected, let found):
            "\(location): \"\(field)\" is \(found); \(expected) is expected."
        case .missingRow(let location, let fields, let present):
            "\(location): the record has no \(fields.expected). \(Self.list(present))"
        case .ambiguousRow(let location, let kinds):
            "\(location): the record has fields for \(kinds.map(\.name).joined(separator: " and ")). Name one with "
                + "\(kinds.map { "--rows \($0.rawValue)" }.joined(separator: " or "))."
        case .missingField(let location, let field, let present):
            "\(location): the record has no \"\(field)\". \(Self.list(present))"
        case .unusable(let location, let field, let reason):
            "\(location): \"\(field)\": \(reason)."
        case .emptyField(let location, let field):
            "\(location): \"\(field)\" is empty. Remove the \(field == "text" ? "record" : "field"), or fill it in."
        case .nulCharacter(let location, let field):
            "\(location): \"\(field)\" contains a NUL character, which is not allowed in text. Remove it."
        case .nameTooLong(let location, let field, let bytes, let limit):
            "\(location): \"\(field)\" has \(bytes) bytes; at most \(limit) are allowed, so that it fits into a URL. "
                + "Shorten it, or keep it in \"metadata\"."
        case .dotSegment(let location, let id):
            "\(location): \"id\" is \"\(id)\", which a URL cannot name. Give the text another id."
        case .identifierTaken(let location, let id):
            "\(location): the id \"\(id)\" belongs to another text of the corpus, or to a piece of one. "
                + "Give each text its own id."
        case .untokenizable(let location, let reason):
            "\(location): the text cannot be tokenised: \(reason)"
        case .cancelled:
            "The import was cancelled."
        case .store(let error):
            error.description
        }
    }

    public var errorDescription: String? { description }

    /// The sentence that lists a record's fields.
    private static func list(_ fields: [String]) -> String {
        fields.isEmpty ? "It has no fields." : "It has \(fields.map { "\"\($0)\"" }.joined(separator: ", "))."
    }
}

extension RowFields {
    /// The fields of which a record needs some.
    fileprivate var expected: String {
        let text = text.fields.map { "\"\($0)\"" }.joined(separator: " with ")
        let completion = (prompt.fields + completion.fields).map { "\"\($0)\"" }.joined(separator: " with ")
        return "\(text), and neither \(completion) nor \"messages\" nor \"input_ids\""
    }
}

extension RowFields.Kind {
    fileprivate var name: String {
        switch self {
        case .text: "a text"
        case .completion: "a prompt with a completion"
        case .chat: "a chat"
        case .tokens: "tokens"
        }
    }
}

extension CorpusImportError {
    /// The location of the bad record; nil if the error is not about a record.
    public var location: CorpusInputLocation? {
        switch self {
        case .tooLong(let location, _), .invalidUTF8(let location, _), .malformedJSON(let location, _),
            .wrongType(let location, _, _, _), .missingRow(let location, _, _), .ambiguousRow(let location, _),
            .missingField(let location, _, _), .unusable(let location, _, _), .emptyField(let location, _),
            .nulCharacter(let location, _), .nameTooLong(let location, _, _, _), .dotSegment(let location, _),
            .identifierTaken(let location, _), .untokenizable(let location, _):
            location
        case .foreignFormat(let file, _):
            CorpusInputLocation(file: file, line: 1)
        case .table(let error):
            error.line.map { CorpusInputLocation(file: error.file, line: $0) }
                ?? error.row.map { CorpusInputLocation(file: error.file, line: $0, isRow: true) }
        case .missingFile, .isFolder, .jsonNamedAsText, .unreadable, .truncatedCompression, .corruptCompression,
            .windowTooLarge, .noFiles, .severalSplits, .tooManyRecords, .cancelled, .store:
            nil
        }
    }

    /// The field of the record that is at fault; nil if no single field is.
    public var field: String? {
        switch self {
        case .wrongType(_, let field, _, _): field
        case .emptyField(_, let field), .nulCharacter(_, let field), .nameTooLong(_, let field, _, _): field
        case .dotSegment, .identifierTaken: "id"
        case .missingField(_, let field, _), .unusable(_, let field, _): field
        case .missingRow, .untokenizable: "text"
        case .table(let error): error.column
        default: nil
        }
    }

    /// The description without the location.
    public var sentence: String {
        guard let location else { return description }
        if case .foreignFormat(let file, _) = self { return String(description.dropFirst("\(file): ".count)) }
        return String(description.dropFirst("\(location): ".count))
    }
}

/// An import that stopped early, and what it had added.
public struct CorpusImportFailure: Error, Equatable {
    public let reason: CorpusImportError
    /// The documents that were committed, and stay.
    public let summary: CorpusImportSummary

    public init(reason: CorpusImportError, summary: CorpusImportSummary = CorpusImportSummary()) {
        self.reason = reason
        self.summary = summary
    }
}

extension CorpusImportFailure: CustomStringConvertible, LocalizedError {
    public var description: String {
        let kept =
            switch summary.documents {
            case 0: "Nothing was added to the corpus."
            case 1: "1 document was added before this and is kept; importing again continues from there."
            case let count:
                "\(count) documents were added before this and are kept; importing again continues from there."
            }
        return "\(reason) \(kept)"
    }

    public var errorDescription: String? { description }
}
