import Dispatch
import Foundation
import GRDB
import Sequences
import Synchronization

/// One run of an import, from its first input to its last.
///
/// Records go through three stages: they are read into slices, slices are prepared into a batch, and a batch is written in one
/// transaction while the next one is read and prepared. Slices are small, so that progress is reported and cancellation noticed soon;
/// batches are large, since writing a single document costs as much as writing hundreds.
struct ImportRun {
    private let settings: CorpusImport
    private let isCancelled: () -> Bool
    private let report: (CorpusImportProgress) -> Void
    /// The documents committed so far.
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
        // The records before a failure are kept, and their own failures come first. After a cancellation they are not prepared, as that
        // could take a long time.
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
        let reader = try RecordReader(input, rows: settings.rows, recordLimit: settings.recordLimit)
        try requireNotCancelled()
        while let record = try reader.next() {
            try requireNotCancelled()
            slice.append(record)
            sliceSize += record.size
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

    /// Parses and tokenises the current slice, and adds it to the batch.
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

    private mutating func commit() throws {
        try startWrite()
        try finishWrite()
    }

    /// Starts writing the batch, after the one before it is committed.
    private mutating func startWrite() throws {
        try finishWrite()
        guard !batch.isEmpty else { return }
        write = BackgroundWrite { [settings, batch] in
            try settings.store.append(batch, skippingRefused: settings.badRecords == .skip)
        }
        batch = []
        batchSize = 0
    }

    /// Waits until the batch being written is committed, and counts it.
    private mutating func finishWrite() throws {
        guard let write else { return }
        self.write = nil
        do {
            let outcome = try write.wait()
            summary.add(outcome.summary)
            if settings.badRecords == .stop, let refused = outcome.refused.first { throw refused }
            summary.reject(outcome.refused)
        } catch {
            // The import ends with the first failure: records after it are dropped.
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

/// A write that runs while its caller does something else.
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

/// Prepares a slice of records to be written: parses, hashes and tokenises them on all cores.
struct SlicePreparation {
    let settings: CorpusImport

    struct Prepared {
        /// The good records, in order. If bad ones are not skipped, only those before the first bad one.
        var documents: [PreparedDocument] = []

        var failures: [CorpusImportError] = []
    }

    private struct ParsedRecord: Sendable {
        let record: CorpusRecord
        let hash: ContentHash
        /// The tokens of a row from which the text was made.
        let sequence: TrainingSequence?
    }

    private typealias Outcome<Value> = Result<Value, CorpusImportError>

    func prepare(_ slice: [RawRecord]) throws -> Prepared {
        let (defaultSource, rows) = (settings.defaultSource, settings.rows)
        let tokenization = settings.store.tokenization
        let parsed = concurrentMap(slice) { raw in
            Outcome<ParsedRecord> { () throws(CorpusImportError) in
                var record = try CorpusRecord(raw, rows: rows)
                record.source = record.source ?? defaultSource
                let made = try tokenization.sequence(for: &record)
                return ParsedRecord(
                    record: record, hash: ContentHash(of: record.row, text: record.text), sequence: made)
            }
        }
        var prepared = Prepared()
        let good = takeGood(parsed, failures: &prepared.failures)

        // Texts that the corpus already has need no tokenising: this makes resuming fast.
        let known = try settings.store.documents(withHashes: good.map(\.hash))
        let documents = concurrentMap(good) { parsed in
            Outcome<PreparedDocument> { () throws(CorpusImportError) in
                if let document = known[parsed.hash] {
                    return PreparedDocument(
                        record: parsed.record, hash: parsed.hash, content: .known(document: document))
                }
                do {
                    let content: PreparedDocument.Content
                    if let sequence = parsed.sequence {
                        content = .row(sequence, isWhole: true)
                    } else if case .spans(let spans) = parsed.record.row, let rows = tokenization.rows {
                        content = .row(try rows.encode(parsed.record.text, spans), isWhole: false)
                    } else {
                        content = .tokens(try tokenization.encode(parsed.record.text))
                    }
                    return PreparedDocument(record: parsed.record, hash: parsed.hash, content: content)
                } catch {
                    throw .untokenizable(location: parsed.record.location, reason: String(describing: error))
                }
            }
        }
        var tokenizationFailures: [CorpusImportError] = []
        prepared.documents = takeGood(documents, failures: &tokenizationFailures)
        // A text that cannot be tokenised comes before the line at which parsing stopped.
        prepared.failures.insert(contentsOf: tokenizationFailures, at: 0)
        return prepared
    }

    private func takeGood<Value>(_ outcomes: [Outcome<Value>], failures: inout [CorpusImportError]) -> [Value] {
        var good: [Value] = []
        for outcome in outcomes {
            switch outcome {
            case .success(let value): good.append(value)
            case .failure(let error):
                failures.append(error)
                if settings.badRecords == .stop { return good }
            }
        }
        return good
    }
}

/// Transforms the elements on all cores. The results are in the order of the elements.
func concurrentMap<Element: Sendable, Result: Sendable>(
    _ elements: [Element], _ transform: @Sendable (Element) -> Result
) -> [Result] {
    // Several chunks per core, since some elements take longer than others.
    let chunkCount = min(elements.count, 16 * ProcessInfo.processInfo.activeProcessorCount)
    let chunks = Mutex([[Result]](repeating: [], count: chunkCount))
    DispatchQueue.concurrentPerform(iterations: chunkCount) { chunk in
        let range = (chunk * elements.count / chunkCount)..<((chunk + 1) * elements.count / chunkCount)
        let results = elements[range].map(transform)
        chunks.withLock { $0[chunk] = results }
    }
    return chunks.withLock { $0.flatMap { $0 } }
}

// A text is stored once, however many records have it: the hash of its bytes identifies it.

extension CorpusStore {
    /// For each of these texts that the corpus has, the document with the text.
    func documents(withHashes hashes: [ContentHash]) throws -> [ContentHash: Int64] {
        try read { db in
            let statement = try db.cachedStatement(sql: "SELECT id FROM documents WHERE content_hash = ?")
            var documents: [ContentHash: Int64] = [:]
            for hash in hashes {
                documents[hash] = try Int64.fetchOne(statement, arguments: [Data(hash.bytes)])
            }
            return documents
        }
    }
}

extension CorpusWriter {
    func existingDocument(_ hash: ContentHash) throws -> Int64? {
        try Int64.fetchOne(
            db.cachedStatement(sql: "SELECT id FROM documents WHERE content_hash = ?"), arguments: [Data(hash.bytes)])
    }

    /// Notes a record whose text a document has already: its own id becomes another name of the document, and if it has none,
    /// its location is noted. Each new name or location counts as one more copy.
    mutating func appendCopy(_ document: PreparedDocument, of id: Int64) throws {
        let isNewCopy: Bool
        if let name = document.record.id {
            if let holder = try identifiers.document(named: name) {
                guard holder.id == id else { return refuse(document) }
                isNewCopy = false
            } else {
                let pieces = try Int64.fetchOne(
                    db.cachedStatement(sql: "SELECT pieces FROM documents WHERE id = ?"), arguments: [id])
                guard try !identifiers.isTaken(name, pieces: pieces ?? 1) else { return refuse(document) }
                try identifiers.insert(name, document: id, isFirst: false)
                isNewCopy = true
            }
        } else {
            try db.cachedStatement(
                sql: """
                    INSERT OR IGNORE INTO occurrences
                    SELECT id, ?2 FROM documents WHERE id = ?1 AND origin <> ?2
                    """
            ).execute(arguments: [id, document.record.location.description])
            isNewCopy = db.changesCount > 0
        }

        outcome.summary.duplicates += 1
        if isNewCopy {
            try db.cachedStatement(sql: "UPDATE documents SET copies = copies + 1 WHERE id = ?")
                .execute(arguments: [id])
            state.statistics.duplicates += 1
        }
    }
}
