import Dispatch
import Foundation
import Synchronization

/// A query batch's checkpoint, as a file that grows while the batch is under way.
///
/// Scores are gathered in memory, and written and synced when the interval has passed. A batch that is shorter than that never makes a
/// file. One worker at a time writes, while the others go on gathering. The file is read when the batch runs again, up to the first block
/// that is cut short or damaged. ``CheckpointBlock`` describes it byte by byte.
public final class CheckpointFile: SweepCheckpoint {
    /// Events for the log.
    public enum Event: Sendable, Equatable {
        /// The scores in the file are of other queries, another model or other factors: the sweep starts again from scratch.
        case foreign(sequences: Int)
        /// The sweep goes on without a checkpoint.
        case cannotWrite(reason: String)
    }

    public let url: URL
    /// How many scored sequences were found when the file was opened.
    public let foundCount: Int

    private let interval: Duration
    private let sync: @Sendable (FileHandle) throws -> Void
    private let report: @Sendable (Event) -> Void
    private let kept: CheckpointContents
    /// Guards the gathered scores and the turn to write. No thread writes, waits or reports while it is locked.
    private let state: Mutex<State>

    fileprivate struct State {
        /// `nil` before the first write, and while a write uses it.
        var handle: FileHandle?
        var isWriting = false
        /// Signalled at the end of the write under way.
        var waiting: [DispatchSemaphore] = []
        /// Whether no more scores are kept, as the batch has ended or the file cannot be written.
        var isOver = false
        var pending: [UInt8] = []
        /// The numbers of the lists of queries that this process has written.
        var lists: [[ContentKey]: UInt32] = [:]
        var nextList: UInt32
        var lastWrite: ContinuousClock.Instant
        var writtenCount = 0
        var hasReportedForeign = false
        var hasMatched = false
    }

    /// - Parameters:
    ///   - url: Where the file is, or will be.
    ///   - interval: How long scores are gathered before they are written.
    ///   - report: Receives each event once, on any thread.
    public convenience init(url: URL, interval: Duration, report: @escaping @Sendable (Event) -> Void = { _ in }) {
        self.init(url: url, interval: interval, sync: { try $0.synchronize() }, report: report)
    }

    /// - Parameter sync: Waits until the written bytes are on the disk.
    init(
        url: URL, interval: Duration, sync: @escaping @Sendable (FileHandle) throws -> Void,
        report: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.url = url
        self.interval = interval
        self.sync = sync
        self.report = report
        kept = CheckpointContents(file: url)
        foundCount = kept.sequenceCount
        state = Mutex(State(nextList: kept.listCount, lastWrite: .now))
    }

    /// How many scored sequences have been kept since the file was opened.
    public var writtenCount: Int { state.withLock { $0.writtenCount } }

    public func scores(of sequence: ContentKey, for queries: [ContentKey]) -> [SequenceScore]? {
        guard foundCount > 0 else { return nil }
        let scores = kept.scores(of: sequence, for: queries)
        let isMatch = scores != nil || kept.knows(queries)
        let isForeign = state.withLock { state in
            state.hasMatched = state.hasMatched || isMatch
            guard !state.hasMatched, !state.hasReportedForeign else { return false }
            state.hasReportedForeign = true
            return true
        }
        if isForeign { report(.foreign(sequences: foundCount)) }
        return scores
    }

    /// Keeps scores in memory, and writes the gathered scores if a write is due and no other worker is writing: a worker does not wait for
    /// another's write.
    public func keep(_ rows: [ScoredSequence], for queries: [ContentKey]) {
        guard let list = state.withLock({ $0.isOver ? nil : $0.number(of: queries) }) else { return }
        let block = CheckpointBlock.scores(rows, list: list).bytes
        state.withLock { state in
            guard !state.isOver else { return }
            state.pending += block
            state.writtenCount += rows.count
        }
        while let write = state.withLock({ $0.beginWrite(after: interval) }) { perform(write) }
    }

    /// Writes the gathered scores, so that the batch can resume from here. Waits for a write that is under way.
    public func flush() {
        repeat {
            waitForWrite()
            if let write = state.withLock({ $0.beginWrite(after: .zero) }) { perform(write) }
        } while state.withLock { $0.isWriting || !($0.isOver || $0.pending.isEmpty) }
    }

    /// Removes the file, as the batch has ended. Waits for a write that is under way.
    public func remove() {
        state.withLock { state in
            state.isOver = true
            state.pending = []
        }
        waitForWrite()
        let handle = state.withLock { $0.handle.take() }
        try? handle?.close()
        try? FileManager.default.removeItem(at: url)
    }

    // MARK: - Writing

    /// The bytes that one thread writes while others go on gathering.
    fileprivate struct Write {
        var handle: FileHandle?
        var bytes: [UInt8]
    }

    private func perform(_ write: Write) {
        let written = Result {
            let handle = try write.handle ?? open()
            try handle.write(contentsOf: write.bytes)
            try sync(handle)
            return handle
        }
        let (handle, failure): (FileHandle?, String?) =
            switch written {
            case .success(let handle): (handle, nil)
            case .failure(let error): (nil, error.localizedDescription)
            }
        let waiting = state.withLock { $0.endWrite(keeping: handle) }
        for semaphore in waiting { semaphore.signal() }
        if let failure { report(.cannotWrite(reason: failure)) }
    }

    /// Blocks the thread until no write is under way.
    private func waitForWrite() {
        let semaphore = state.withLock { state -> DispatchSemaphore? in
            guard state.isWriting else { return nil }
            let semaphore = DispatchSemaphore(value: 0)
            state.waiting.append(semaphore)
            return semaphore
        }
        semaphore?.wait()
    }

    private func open() throws -> FileHandle {
        if !FileManager.default.fileExists(atPath: url.path) || kept.validBytes == 0 {
            try Data(CheckpointBlock.magic).write(to: url)
        }
        let handle = try FileHandle(forUpdating: url)
        // A block that a crash has cut short is overwritten.
        let end = UInt64(max(kept.validBytes, CheckpointBlock.magic.count))
        try handle.truncate(atOffset: end)
        try handle.seek(toOffset: end)
        return handle
    }
}

extension CheckpointFile.State {
    /// The number of a list of queries, which is written before its first scores.
    fileprivate mutating func number(of queries: [ContentKey]) -> UInt32 {
        if let number = lists[queries] { return number }
        defer { nextList += 1 }
        lists[queries] = nextList
        pending += CheckpointBlock.queries(queries).bytes
        return nextList
    }

    /// Takes the turn to write.
    ///
    /// - Returns: `nil` if another thread has the turn, nothing has been gathered, or the last write is more recent than the interval.
    fileprivate mutating func beginWrite(after interval: Duration) -> CheckpointFile.Write? {
        guard !isWriting, !isOver, !pending.isEmpty, lastWrite.duration(to: .now) >= interval else { return nil }
        isWriting = true
        defer { pending = [] }
        return CheckpointFile.Write(handle: handle.take(), bytes: pending)
    }

    /// Gives the turn back.
    ///
    /// - Parameter handle: `nil` if the file could not be written, which ends the checkpoint.
    /// - Returns: The semaphores of the waiting threads.
    fileprivate mutating func endWrite(keeping handle: FileHandle?) -> [DispatchSemaphore] {
        self.handle = handle
        isWriting = false
        lastWrite = .now
        if handle == nil {
            isOver = true
            pending = []
        }
        defer { waiting = [] }
        return waiting
    }
}
