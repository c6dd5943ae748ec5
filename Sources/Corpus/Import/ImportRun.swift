import Dispatch
import Synchronization

/// One run of an import, from its first input to its last.
///
/// Batches go through three stages: reading, preparing, writing. A batch is written while the next is read and prepared, and
/// only what is committed gets into ``summary``.
struct ImportRun {
    private let settings: CorpusImport
    private let isCancelled: () -> Bool
    private let report: (CorpusImportProgress) -> Void

    /// What is committed so far.
    private(set) var summary = CorpusImportSummary()

    private var batch: [RawRecord] = []
    private var batchSize = 0
    private var write: BackgroundWrite?
    private var progress = CorpusImportProgress()
    private var lastReport: ContinuousClock.Instant?

    init(
        settings: CorpusImport, isCancelled: @escaping () -> Bool, report: @escaping (CorpusImportProgress) -> Void
    ) {
        self.settings = settings
        self.isCancelled = isCancelled
        self.report = report
    }

    mutating func importAll(_ inputs: [CorpusInput]) throws {
        let sizes = try inputs.map { try $0.byteCount() }
        progress.bytesTotal = sizes.contains(nil) ? nil : sizes.reduce(0) { $0 + ($1 ?? 0) }
        do {
            for input in inputs {
                try read(input)
            }
            try processBatch()
        } catch {
            // The batch that is being written comes before what failed. Its own failure comes first, too.
            try finishWrite()
            throw error
        }
        try finishWrite()
        reportProgress(isLast: true)
    }

    // MARK: Reading

    private mutating func read(_ input: CorpusInput) throws {
        progress.input = input.name
        let bytesBefore = progress.bytesRead
        var reader = try RecordReader(input, recordLimit: settings.recordLimit)
        while let record = try nextRecord(&reader) {
            try requireNotCancelled()
            batch.append(record)
            batchSize += record.bytes.count
            if batch.count >= settings.batchLimit.records || batchSize >= settings.batchLimit.bytes {
                progress.bytesRead = bytesBefore + reader.bytesRead
                try processBatch()
            }
        }
        progress.bytesRead = bytesBefore + reader.bytesRead
    }

    /// The next record. If the input fails, what was read before is kept first.
    private mutating func nextRecord(_ reader: inout RecordReader) throws -> RawRecord? {
        do {
            return try reader.next()
        } catch {
            try processBatch()
            throw error
        }
    }

    // MARK: Preparing and writing

    /// Prepares the batch that was read, and starts writing it once the one before is committed.
    private mutating func processBatch() throws {
        guard !batch.isEmpty else { return }
        try requireNotCancelled()
        let prepared = try BatchPreparation(settings: settings).prepare(batch)
        batch = []
        batchSize = 0
        try finishWrite()
        try requireNotCancelled()

        let failure = settings.badRecords == .stop ? prepared.failures.first : nil
        if failure == nil {
            summary.reject(prepared.failures)
        }
        write = BackgroundWrite { [settings, documents = prepared.documents] in
            try settings.store.append(documents, skippingRefused: settings.badRecords == .skip)
        }
        if let failure { throw failure }
    }

    /// Waits until the batch that is being written is committed, and counts it.
    private mutating func finishWrite() throws {
        guard let write else { return }
        self.write = nil
        let outcome = try write.wait()
        summary.add(outcome.summary)
        reportProgress(isLast: false)
        if settings.badRecords == .stop, let refused = outcome.refused.first { throw refused }
        summary.reject(outcome.refused)
    }

    private func requireNotCancelled() throws {
        if isCancelled() { throw CorpusImportError.cancelled }
    }

    private mutating func reportProgress(isLast: Bool) {
        let now = ContinuousClock.now
        if !isLast, let lastReport, now - lastReport < settings.progressInterval { return }
        lastReport = now
        progress.documents = summary.documents
        progress.duplicates = summary.duplicates
        report(progress)
    }
}

/// A write that goes on while its caller does something else.
private final class BackgroundWrite: Sendable {
    private let result = Mutex<Result<AppendOutcome, any Error>?>(nil)
    private let group = DispatchGroup()

    init(_ body: @escaping @Sendable () throws -> AppendOutcome) {
        DispatchQueue.global().async(group: group) { [self] in
            let outcome = Result { try body() }
            result.withLock { $0 = outcome }
        }
    }

    func wait() throws -> AppendOutcome {
        group.wait()
        return try result.withLock { $0 }?.get() ?? AppendOutcome()
    }
}
