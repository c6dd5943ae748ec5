import Foundation
import Synchronization

/// A batch's checkpoint as a file that grows while the batch is under way.
///
/// Scores are gathered in memory and written, with a sync, when the interval has passed; a batch that is shorter never makes a
/// file. The file is read when the batch runs again, up to the first block that is cut short or damaged; ``CheckpointBlock``
/// describes it byte by byte.
public final class CheckpointFile: SweepCheckpoint {
    /// What becomes of the file, for the log.
    public enum Event: Sendable, Equatable {
        /// What was found is of other queries, another model or other factors: the sweep starts anew.
        case foreign(sequences: Int)
        /// The sweep goes on without a checkpoint.
        case cannotWrite(reason: String)
    }

    public let url: URL
    /// How many scored sequences were found when the file was opened.
    public let foundCount: Int

    private let interval: Duration
    private let report: @Sendable (Event) -> Void
    private let kept: CheckpointContents
    private let state: Mutex<State>

    private struct State {
        var handle: FileHandle?
        var isBroken = false
        var pending: [UInt8] = []
        /// The numbers of the lists of queries that this process has written, by the list.
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
    ///   - report: Told once of each event, from any thread.
    public init(url: URL, interval: Duration, report: @escaping @Sendable (Event) -> Void = { _ in }) {
        self.url = url
        self.interval = interval
        self.report = report
        kept = CheckpointContents(file: url)
        foundCount = kept.sequenceCount
        state = Mutex(State(nextList: kept.listCount, lastWrite: .now))
    }

    /// How many scored sequences have been written since the file was opened.
    public var writtenCount: Int { state.withLock { $0.writtenCount } }

    public func scores(of sequence: ContentKey, for queries: [ContentKey]) -> [SequenceScore]? {
        guard foundCount > 0 else { return nil }
        let scores = kept.scores(of: sequence, for: queries)
        let isForeign = state.withLock { state in
            state.hasMatched = state.hasMatched || scores != nil || kept.knows(queries)
            guard !state.hasMatched, !state.hasReportedForeign else { return false }
            state.hasReportedForeign = true
            return true
        }
        if isForeign { report(.foreign(sequences: foundCount)) }
        return scores
    }

    public func keep(_ rows: [ScoredSequence], for queries: [ContentKey]) {
        let failure = state.withLock { state -> String? in
            guard !state.isBroken else { return nil }
            let list = number(of: queries, &state)
            state.pending += CheckpointBlock.scores(rows, list: list).bytes
            state.writtenCount += rows.count
            guard state.lastWrite.duration(to: .now) >= interval else { return nil }
            return write(&state)
        }
        if let failure { report(.cannotWrite(reason: failure)) }
    }

    /// Removes the file: the batch has ended.
    public func remove() {
        state.withLock { state in
            state.isBroken = true
            state.pending = []
            try? state.handle?.close()
            state.handle = nil
        }
        try? FileManager.default.removeItem(at: url)
    }

    /// Writes what has been gathered, so that the batch can be taken up from here.
    public func flush() {
        let failure = state.withLock { state in state.isBroken || state.pending.isEmpty ? nil : write(&state) }
        if let failure { report(.cannotWrite(reason: failure)) }
    }

    private func number(of queries: [ContentKey], _ state: inout State) -> UInt32 {
        if let number = state.lists[queries] { return number }
        defer { state.nextList += 1 }
        state.lists[queries] = state.nextList
        state.pending += CheckpointBlock.queries(queries).bytes
        return state.nextList
    }

    /// - Returns: Why it could not be written.
    private func write(_ state: inout State) -> String? {
        do {
            let handle = try state.handle ?? open()
            state.handle = handle
            try handle.write(contentsOf: state.pending)
            try handle.synchronize()
            state.pending.removeAll(keepingCapacity: true)
            state.lastWrite = .now
            return nil
        } catch {
            state.isBroken = true
            state.pending = []
            return error.localizedDescription
        }
    }

    private func open() throws -> FileHandle {
        if !FileManager.default.fileExists(atPath: url.path) || kept.validBytes == 0 {
            try Data(CheckpointBlock.magic).write(to: url)
        }
        let handle = try FileHandle(forUpdating: url)
        // What a crash has cut short is overwritten.
        let end = UInt64(max(kept.validBytes, CheckpointBlock.magic.count))
        try handle.truncate(atOffset: end)
        try handle.seek(toOffset: end)
        return handle
    }
}
