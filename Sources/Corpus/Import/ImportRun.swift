import Dispatch
import Synchronization

/// One run of an import, from its first input to its last.
///
/// Records go through three stages: they are read into slices, slices are prepared into a batch, and a batch is written in one
/// transaction while the next is read and prepared. Slices are small, so that progress is shown and cancelling noticed;
/// batches are large, since writing one costs as much for a single document as for hundreds. Only what is committed gets into
/// ``summary``.
struct ImportRun {
    private let settings: CorpusImport
    private let isCancelled: () -> Bool
    private let report: (CorpusImportProgress) -> Void

    /// What is committed so far.
    private(set) var summary = CorpusImportSummary()

    private var slice: [RawRecord] = []
    private var sliceSize = 0
    private var batch: [PreparedDocument] = []
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
        var failure: (any Error)?
        do {
            for input in inputs {
                try read(input)
            }
        } catch {
            failure = error
        }
        // What was read before a failure is kept, and its own failures come first. Preparing it may take long, however,
        // which cancelling is to spare.
        if failure as? CorpusImportError != .cancelled {
            do { try prepareSlice() } catch { failure = error }
        }
        try commit()
        if let failure { throw failure }
        reportProgress(isLast: true)
    }

    // MARK: Reading

    private mutating func read(_ input: CorpusInput) throws {
        progress.input = input.name
        let bytesBefore = progress.bytesRead
        var reader = try RecordReader(input, recordLimit: settings.recordLimit)
        try requireNotCancelled()
        while let record = try reader.next() {
            try requireNotCancelled()
            slice.append(record)
            sliceSize += record.bytes.count
            progress.bytesRead = bytesBefore + reader.bytesRead
            if slice.count >= min(Self.sliceLimit.records, settings.batchLimit.records)
                || sliceSize >= min(Self.sliceLimit.bytes, settings.batchLimit.bytes)
            {
                try prepareSlice()
            }
        }
        progress.bytesRead = bytesBefore + reader.bytesRead
    }

    private static let sliceLimit = (records: 1024, bytes: 1 << 19)

    private func requireNotCancelled() throws {
        if isCancelled() { throw CorpusImportError.cancelled }
    }

    // MARK: Preparing

    /// Parses and tokenises the slice that was read, and adds it to the batch.
    private mutating func prepareSlice() throws {
        guard !slice.isEmpty else { return }
        let (records, size) = (slice, sliceSize)
        slice = []
        sliceSize = 0
        let prepared = try SlicePreparation(settings: settings).prepare(records)
        batch += prepared.documents
        batchSize += size
        if settings.badRecords == .stop, let failure = prepared.failures.first { throw failure }
        summary.reject(prepared.failures)
        if batch.count >= settings.batchLimit.records || batchSize >= settings.batchLimit.bytes { try startWrite() }
        reportProgress(isLast: false)
    }

    // MARK: Writing

    /// Writes all that was prepared.
    private mutating func commit() throws {
        try startWrite()
        try finishWrite()
    }

    /// Starts writing the batch, once the one before it is committed.
    private mutating func startWrite() throws {
        try finishWrite()
        guard !batch.isEmpty else { return }
        write = BackgroundWrite { [settings, batch] in
            try settings.store.append(batch, skippingRefused: settings.badRecords == .skip)
        }
        batch = []
        batchSize = 0
    }

    /// Waits until the batch that is being written is committed, and counts it.
    private mutating func finishWrite() throws {
        guard let write else { return }
        self.write = nil
        do {
            let outcome = try write.wait()
            summary.add(outcome.summary)
            if settings.badRecords == .stop, let refused = outcome.refused.first { throw refused }
            summary.reject(outcome.refused)
        } catch {
            // The import ends with the first failure: what was read and prepared after it does not get in.
            slice = []
            batch = []
            throw error
        }
    }

    // MARK: Progress

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
