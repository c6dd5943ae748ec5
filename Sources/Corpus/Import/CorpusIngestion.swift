import Files

/// Adds the documents of one request to a corpus that is in use: all of them, or none.
///
/// The rules are those of ``CorpusImport``: a text that is there already is counted and kept once, and other fields than those of
/// ``CorpusInput/Format/jsonLines`` are ignored. Readers see the new sequences and their postings at once and together; what has
/// been read before goes on to be valid, since sequences never change.
public struct CorpusIngestion: Sendable {
    /// How the documents are written down.
    public enum Form: Sendable, Equatable {
        /// One JSON object a line.
        case lines
        /// One JSON object, on however many lines.
        case object
    }

    /// What was added.
    public struct Outcome: Sendable, Equatable {
        public let summary: CorpusImportSummary

        /// Of each record, in order, the identifier of the document with its text; nil for a text without tokens.
        public let identifiers: [String?]

        /// The corpus with the new documents.
        public let statistics: CorpusStatistics
    }

    let store: CorpusStore
    let maximumRecords: Int

    /// Prepares additions to `store`, of at most `maximumRecords` documents at a time.
    public init(into store: CorpusStore, maximumRecords: Int) {
        self.store = store
        self.maximumRecords = maximumRecords
    }

    /// Adds documents. Blocks until they are committed and synced.
    ///
    /// The documents' origin is named after the body's content, so that sending a body again adds nothing.
    ///
    /// - Throws: ``CorpusImportError`` for the first record that cannot be taken; nothing is added then.
    public func run(_ body: [UInt8], form: Form) throws -> Outcome {
        var digest = ContentDigest()
        digest.update(body)
        let name = "request-" + digest.hexadecimal.prefix(16)
        let records = try read(body, form: form, name: name)
        let prepared = try SlicePreparation(settings: CorpusImport(into: store)).prepare(records)
        if let failure = prepared.failures.first { throw failure }
        return try store.appendAll(prepared.documents)
    }

    private func read(_ body: [UInt8], form: Form, name: String) throws -> [RawRecord] {
        if form == .object {
            return [RawRecord(location: CorpusInputLocation(file: name, line: 1), bytes: body, format: .jsonLines)]
        }
        if let format = ForeignFormat(head: body) { throw CorpusImportError.foreignFormat(file: name, format) }
        var reader = RecordReader(lines: MemoryByteSource(body), name: name)
        var records: [RawRecord] = []
        while let record = try reader.next() {
            guard records.count < maximumRecords else {
                throw CorpusImportError.tooManyRecords(name: name, limit: maximumRecords)
            }
            records.append(record)
        }
        return records
    }
}

extension CorpusImportError {
    /// Where the record is that something is wrong with.
    public var location: CorpusInputLocation? {
        switch self {
        case .tooLong(let location, _), .invalidUTF8(let location, _), .malformedJSON(let location, _),
            .wrongType(let location, _, _, _), .missingText(let location), .emptyField(let location, _),
            .nulCharacter(let location, _), .nameTooLong(let location, _, _, _), .dotSegment(let location, _),
            .identifierTaken(let location, _), .untokenizable(let location, _):
            location
        case .foreignFormat(let file, _):
            CorpusInputLocation(file: file, line: 1)
        case .missingFile, .isFolder, .jsonNamedAsText, .unreadable, .truncatedGzip, .corruptGzip,
            .tooManyRecords, .cancelled, .store:
            nil
        }
    }

    /// The record's field that is at fault, if it is one of them.
    public var field: String? {
        switch self {
        case .wrongType(_, let field, _, _): field
        case .emptyField(_, let field), .nulCharacter(_, let field), .nameTooLong(_, let field, _, _): field
        case .dotSegment: "id"
        case .missingText, .untokenizable: "text"
        case .identifierTaken: "id"
        default: nil
        }
    }

    /// The description without the place.
    public var sentence: String {
        guard let location else { return description }
        if case .foreignFormat(let file, _) = self { return String(description.dropFirst("\(file): ".count)) }
        return String(description.dropFirst("\(location): ".count))
    }
}
