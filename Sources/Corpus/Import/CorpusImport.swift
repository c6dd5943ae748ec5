/// Reads documents from files, or elsewhere, into a corpus.
///
/// Inputs are read as a stream and committed in batches, so that neither their size nor an interruption matters: committed documents
/// stay, and importing the same inputs again skips them and continues. Parsing and tokenising run on all cores while one thread writes.
public struct CorpusImport: Sendable {
    /// What to do with a bad record.
    public enum BadRecords: Sendable {
        /// Stop there; everything before it is kept.
        case stop

        /// Skip it, count it, and describe the first few (``CorpusImportSummary/rejections``).
        case skip
    }

    let store: CorpusStore
    /// What to do with a bad record. An input that cannot be read always ends the import.
    public var badRecords: BadRecords
    /// The source of documents that do not name one.
    public var defaultSource: String?
    /// Which fields are trained on.
    public var rows: RowFields
    /// The size at which a batch is committed, in documents or in bytes. Memory holds at most two batches.
    var batchLimit = (records: 8192, bytes: 4 << 20)
    /// The most bytes that one record can have.
    var recordLimit = RecordReader.maximumRecordSize
    /// The least time between two progress reports.
    var progressInterval = Duration.milliseconds(100)

    public init(
        into store: CorpusStore, badRecords: BadRecords = .stop, defaultSource: String? = nil,
        rows: RowFields = RowFields()
    ) {
        self.store = store
        self.badRecords = badRecords
        self.defaultSource = defaultSource
        self.rows = rows
    }

    /// Imports documents. Blocks until they are committed.
    ///
    /// - Parameters:
    ///   - inputs: Read one after the other. The import checks that all exist before it reads the first.
    ///   - progress: Called on the calling thread, from time to time and at the end.
    ///   - isCancelled: Called for every record; normally whether the current task is cancelled.
    /// - Throws: ``CorpusImportFailure``, which says why the import stopped and what it had added.
    @discardableResult
    public func run(
        _ inputs: [CorpusInput],
        progress: @escaping (CorpusImportProgress) -> Void = { _ in },
        isCancelled: @escaping () -> Bool = { Task.isCancelled }
    ) throws(CorpusImportFailure) -> CorpusImportSummary {
        var run = ImportRun(settings: self, isCancelled: isCancelled, report: progress)
        do {
            try run.importAll(inputs)
            return run.summary
        } catch {
            throw CorpusImportFailure(reason: Self.reason(for: error), summary: run.summary)
        }
    }

    private static func reason(for error: any Error) -> CorpusImportError {
        switch error {
        case let error as CorpusImportError: error
        case let error as CorpusError: .store(error)
        default: .store(.storage(file: CorpusStore.fileName, reason: String(describing: error)))
        }
    }
}

/// What an import has added to a corpus.
public struct CorpusImportSummary: Sendable, Equatable {
    /// New documents.
    public internal(set) var documents = 0
    /// New sequences.
    public internal(set) var sequences = 0
    /// The new documents' tokens, without the prefix.
    public internal(set) var tokens = 0
    /// Records whose text the corpus already had, perhaps from earlier in this import.
    public internal(set) var duplicates = 0
    /// Records whose text has no tokens; nothing is stored for them.
    public internal(set) var empty = 0
    /// New sequences of rows with a loss mask that were cut to the sequence length.
    public internal(set) var cut = 0
    /// Rows without a token that carries loss; nothing is stored for them.
    public internal(set) var withoutLoss = 0
    /// Rows whose tokens with loss all come after the sequence length; nothing is stored for them.
    public internal(set) var cutBeforeLoss = 0
    /// New sequences of chats whose first turns were left out, so that the others fit into a sequence.
    public internal(set) var shortened = 0
    /// Chats among the rows that were cut, or whose loss comes after the cut.
    public internal(set) var cutChats = 0
    /// Bad records that were skipped (``CorpusImport/BadRecords/skip``).
    public internal(set) var rejected = 0
    /// The errors of the first of them, at most ``maximumRejections``.
    public internal(set) var rejections: [CorpusImportError] = []

    /// The number of rejections that are described.
    public static let maximumRejections = 20

    public init() {}

    mutating func add(_ other: CorpusImportSummary) {
        documents += other.documents
        sequences += other.sequences
        tokens += other.tokens
        duplicates += other.duplicates
        empty += other.empty
        cut += other.cut
        withoutLoss += other.withoutLoss
        cutBeforeLoss += other.cutBeforeLoss
        shortened += other.shortened
        cutChats += other.cutChats
        reject(other.rejections)
        rejected += other.rejected - other.rejections.count
    }

    mutating func reject(_ errors: [CorpusImportError]) {
        rejected += errors.count
        rejections.append(contentsOf: errors.prefix(Self.maximumRejections - rejections.count))
    }
}

/// The progress of an import.
public struct CorpusImportProgress: Sendable, Equatable {
    /// The name of the current input.
    public internal(set) var input = ""
    /// Bytes read from all inputs so far, as they are on disk: compressed bytes of a compressed input.
    public internal(set) var bytesRead = 0
    /// Bytes of all inputs together; nil if the length of one is unknown.
    public internal(set) var bytesTotal: Int?
    /// New documents committed.
    public internal(set) var documents = 0
    /// Records whose text the corpus already had.
    public internal(set) var duplicates = 0
}
