import Files

/// Adds the documents of one request to a corpus that is in use: all of them, or none.
///
/// The rules are those of ``CorpusImport``: a text that the corpus already has is counted and stored once, and fields other than those
/// of ``CorpusInput/Format/jsonLines`` are ignored. Readers see the new sequences and their postings at the same moment; what they read
/// before remains valid, since sequences never change.
public struct CorpusIngestion: Sendable {
    /// How the body represents documents.
    public enum Form: Sendable, Equatable {
        /// One JSON object per line.
        case lines
        /// One JSON object, on any number of lines.
        case object
    }

    /// The result of adding documents.
    public struct Outcome: Sendable, Equatable {
        public let summary: CorpusImportSummary

        /// For each record, in order, the identifier of the document with its text; nil for a text without tokens.
        public let identifiers: [String?]

        /// The size of the corpus with the new documents.
        public let statistics: CorpusStatistics
    }

    let store: CorpusStore
    let maximumRecords: Int

    /// - Parameter maximumRecords: The most documents in one request.
    public init(into store: CorpusStore, maximumRecords: Int) {
        self.store = store
        self.maximumRecords = maximumRecords
    }

    /// Adds documents. Blocks until they are committed and synced.
    ///
    /// The documents' origin is named after the body's content, so that sending the same body again adds nothing.
    ///
    /// - Throws: ``CorpusImportError`` for the first bad record; then nothing is added.
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
            return [RawRecord(location: CorpusInputLocation(file: name, line: 1), json: body)]
        }
        if let format = ForeignFormat(head: body) { throw CorpusImportError.foreignFormat(file: name, format) }
        let reader = RecordReader(lines: MemoryByteSource(body), name: name)
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
