import Foundation

/// Why an input, or a record of it, cannot be imported.
public enum CorpusImportError: Error, Equatable {
    /// There is no such file.
    case missingFile(path: String)

    /// The path is a folder's.
    case isFolder(path: String)

    /// The file cannot be opened or read.
    case unreadable(path: String, reason: String)

    /// The compressed data ends too early.
    case truncatedGzip(file: String)

    /// The data is not what its compression or its checksum says.
    case corruptGzip(file: String, reason: String)

    /// The input is in a form that text is not read from.
    case foreignFormat(file: String, ForeignFormat)

    /// The file is named as plain text, and holds JSON.
    case jsonNamedAsText(file: String)

    /// The input has more records than are taken at once.
    case tooManyRecords(name: String, limit: Int)

    /// A line, or a paragraph, is too long to be held in memory.
    case tooLong(location: CorpusInputLocation, limit: Int)

    /// A line is not UTF-8, from this byte of it (counted from 1).
    case invalidUTF8(location: CorpusInputLocation, column: Int)

    /// A line is not JSON.
    case malformedJSON(location: CorpusInputLocation, reason: String)

    /// A line, or a field of it, is JSON of another type than expected.
    case wrongType(location: CorpusInputLocation, field: String?, expected: String, found: String)

    /// A record has no text.
    case missingText(location: CorpusInputLocation)

    /// A record's text, or its identifier, is empty or only white space.
    case emptyField(location: CorpusInputLocation, field: String)

    /// A field has a NUL character in it.
    case nulCharacter(location: CorpusInputLocation, field: String)

    /// An identifier or a source is longer than a URL can carry.
    case nameTooLong(location: CorpusInputLocation, field: String, bytes: Int, limit: Int)

    /// The identifier is `.` or `..`, which cannot be asked for by URL.
    case dotSegment(location: CorpusInputLocation, id: String)

    /// The identifier is that of another text, or of a piece of one.
    case identifierTaken(location: CorpusInputLocation, id: String)

    /// The tokenizer refused the text.
    case untokenizable(location: CorpusInputLocation, reason: String)

    /// The import was cancelled.
    case cancelled

    /// The corpus could not be written.
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
        case .truncatedGzip(let file):
            "\(file): the compressed file ends before its data does. Copy or download it again."
        case .corruptGzip(let file, let reason):
            "\(file): the compressed file is damaged (\(reason)). Copy or download it again."
        case .foreignFormat(let file, let format):
            "\(file): this is \(format.name), and neither JSON lines nor plain text. \(format.advice)"
        case .jsonNamedAsText(let file):
            "\(file): the file is named as plain text and holds JSON. Say which it is with --format jsonl or --format text."
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
        case .missingText(let location):
            "\(location): the record has no \"text\". Each line must have one, like {\"id\": \"a1\", \"text\": \"...\"}."
        case .emptyField(let location, let field):
            "\(location): \"\(field)\" is empty. Remove the \(field == "text" ? "record" : "field"), or fill it in."
        case .nulCharacter(let location, let field):
            "\(location): \"\(field)\" has a NUL character in it, which text cannot have. Remove it."
        case .nameTooLong(let location, let field, let bytes, let limit):
            "\(location): \"\(field)\" has \(bytes) bytes; at most \(limit) are expected, so that it fits into a URL. "
                + "Shorten it, or keep it in \"metadata\"."
        case .dotSegment(let location, let id):
            "\(location): \"id\" is \"\(id)\", which URLs cannot name. Give the text another id."
        case .identifierTaken(let location, let id):
            "\(location): the id \"\(id)\" belongs to another text of the corpus, or to a piece of one. "
                + "Give each text an id of its own."
        case .untokenizable(let location, let reason):
            "\(location): the text cannot be tokenised: \(reason)"
        case .cancelled:
            "The import was cancelled."
        case .store(let error):
            error.description
        }
    }

    public var errorDescription: String? { description }
}

/// An import that stopped before its end, and what it had added by then.
public struct CorpusImportFailure: Error, Equatable {
    /// Why it stopped.
    public let reason: CorpusImportError

    /// What was committed, and stays.
    public let summary: CorpusImportSummary
}

extension CorpusImportFailure: CustomStringConvertible, LocalizedError {
    public var description: String {
        let kept =
            switch summary.documents {
            case 0: "Nothing was added to the corpus."
            case 1: "1 document was added before this and is kept; importing again goes on from there."
            case let count:
                "\(count) documents were added before this and are kept; importing again goes on from there."
            }
        return "\(reason) \(kept)"
    }

    public var errorDescription: String? { description }
}
