/// Reads documents from files, or elsewhere, into a corpus.
///
/// Inputs are read as a stream and committed in batches, so that neither their size nor an interruption matters: what was
/// committed stays, and importing the same inputs again skips what is there and goes on. Parsing and tokenising run on all
/// cores while one thread writes.
public struct CorpusImport: Sendable {
    /// What to do about a record that something is wrong with.
    public enum BadRecords: Sendable {
        /// Stop there; everything before it is kept.
        case stop

        /// Leave it out, count it, and describe the first few (``CorpusImportSummary/rejections``).
        case skip
    }

    let store: CorpusStore

    /// What to do about a record that something is wrong with. An input that cannot be read always ends the import.
    public var badRecords: BadRecords

    /// The source of documents that do not name one.
    public var defaultSource: String?

    /// How much is committed at once: so many documents, or documents of so many bytes. At most two batches are held.
    var batchLimit = (records: 8192, bytes: 4 << 20)

    /// The most bytes that one record may have.
    var recordLimit = RecordReader.maximumRecordSize

    /// How long there is between two reports of progress, at least.
    var progressInterval = Duration.milliseconds(100)

    /// Prepares imports into `store`.
    public init(into store: CorpusStore, badRecords: BadRecords = .stop, defaultSource: String? = nil) {
        self.store = store
        self.badRecords = badRecords
        self.defaultSource = defaultSource
    }

    /// Imports documents. Blocks until they are committed.
    ///
    /// - Parameters:
    ///   - inputs: Read one after the other. All are looked for before the first is read.
    ///   - progress: Called on the calling thread, now and then and at the end.
    ///   - isCancelled: Asked for every record that is read; normally whether the current task is cancelled.
    /// - Returns: What was added.
    /// - Throws: ``CorpusImportFailure``, which says why the import stopped and what it had added by then.
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
