import Attribution
import Foundation
import GRDB
import Synchronization

/// The jobs that clients ask for, in memory: all that have not ended, and small ones that ended or were asked for last.
///
/// The store shows each change here when it is committed. A request for a job that is here waits for no disk, and a follower of
/// one is told when it has changed. Passing jobs, of which nothing is written, are here alone, and only until they end.
final class JobBoard: Sendable {
    /// Told that something about a job has changed; ends when the server lets go of it.
    typealias Follower = AsyncStream<Void>.Continuation

    private struct Entry {
        var snapshot: JobSnapshot
        /// Whether the store does not have the job.
        var isPassing = false
        /// The number of the write that it shows.
        var number: Int
        /// The snapshot as bytes, once they were asked for.
        var document: [UInt8]?
        /// Goes up with each change.
        var revision = 0
        var followers: [Int: Follower] = [:]
    }

    private struct State {
        var entries: [JobIdentifier: Entry] = [:]
        /// Jobs that have ended, the one to go next first.
        var ended: [JobIdentifier] = []
        var forgottenCount = 0
        var lastFollower = 0
    }

    /// How many jobs that have ended stay, unless it is said otherwise.
    static let endedLimit = 256
    /// The most bytes of a job that has ended and stays: what it asks, and why queries of it failed. Larger ones are read from the store.
    static let endedBytes = 16_384
    /// The most bytes of a document that is kept to be sent again.
    static let documentLimit = 4_096

    /// How many jobs that have ended stay.
    private let endedLimit: Int
    private let lastNumber = Atomic<Int>(0)
    /// Guards what is shown. Followers are told, and documents made, while it is not locked.
    private let state = Mutex(State())

    init(endedLimit: Int = JobBoard.endedLimit) {
        self.endedLimit = endedLimit
    }

    /// The number of the next write; to be asked for while no other write is under way.
    func nextChange() -> Int { lastNumber.add(1, ordering: .relaxed).newValue }

    /// Jobs that have expired so far.
    var forgottenCount: Int { state.withLock { $0.forgottenCount } }

    // MARK: - Looking

    func snapshot(of id: JobIdentifier) -> JobSnapshot? { state.withLock { $0.entries[id]?.snapshot } }

    /// The snapshot as bytes, made only when it has changed since they were last asked for.
    ///
    /// - Returns: `nil` if the job is not shown.
    func document(of id: JobIdentifier, encode: (JobSnapshot) throws -> [UInt8]) rethrows -> [UInt8]? {
        guard let entry = state.withLock({ $0.entries[id] }) else { return nil }
        if let document = entry.document { return document }
        let document = try encode(entry.snapshot)
        state.withLock { state in
            guard document.count <= Self.documentLimit, state.entries[id]?.revision == entry.revision else { return }
            state.entries[id]?.document = document
        }
        return document
    }

    /// Has a follower told of each change of a job. One that has not looked since it was told is not told again.
    ///
    /// - Returns: A number to stop with; `nil` if the job is not shown.
    func follow(_ id: JobIdentifier, _ follower: Follower) -> Int? {
        state.withLock { state in
            guard state.entries[id] != nil else { return nil }
            state.lastFollower += 1
            state.entries[id]?.followers[state.lastFollower] = follower
            return state.lastFollower
        }
    }

    func stopFollowing(_ id: JobIdentifier, _ number: Int) {
        state.withLock { _ = $0.entries[id]?.followers.removeValue(forKey: number) }
    }

    func followerCount(of id: JobIdentifier) -> Int { state.withLock { $0.entries[id]?.followers.count ?? 0 } }

    /// Lets go of the followers of jobs that will not end in this process.
    func dismissFollowers(of ids: some Sequence<JobIdentifier>) {
        let followers = state.withLock { state in
            ids.flatMap { id -> [Follower] in
                defer { state.entries[id]?.followers = [:] }
                return state.entries[id].map { Array($0.followers.values) } ?? []
            }
        }
        // Ending a follower may come back here, and must not find the lock taken.
        for follower in followers { follower.finish() }
    }

    // MARK: - Passing jobs

    /// Shows a job that the store does not have.
    func show(passing job: Job) {
        state.withLock { state in
            state.entries[job.id] = Entry(
                snapshot: JobSnapshot(job: job, queries: [], finished: []), isPassing: true, number: 0)
        }
    }

    /// The passing jobs, the newest first.
    func passingJobs() -> [JobSnapshot] {
        let snapshots = state.withLock { state in state.entries.values.filter(\.isPassing).map(\.snapshot) }
        return snapshots.sorted { ($0.job.created, $0.job.id.description) > ($1.job.created, $1.job.id.description) }
    }

    /// Shows that a sweep has begun that has passing jobs.
    func begin(passing ids: [JobIdentifier], in batch: JobTimings.Batch, at date: Date = Date()) {
        let followers = state.withLock { state in
            ids.flatMap { id -> [Follower] in
                guard var entry = state.entries[id], entry.isPassing else { return [] }
                state.entries[id] = nil
                entry.snapshot.job.begin(in: batch, at: date)
                entry.snapshot.job.status = .running
                entry.snapshot.job.started = date.inMilliseconds
                entry.snapshot.job.attempts = 1
                entry.document = nil
                entry.revision += 1
                state.entries[id] = entry
                return Array(entry.followers.values)
            }
        }
        for follower in followers { follower.yield() }
    }

    /// Lets go of a passing job. Its followers find that it is gone.
    func remove(passing id: JobIdentifier) {
        let entry = state.withLock { state in
            state.entries[id]?.isPassing == true ? state.entries.removeValue(forKey: id) : nil
        }
        for follower in entry?.followers.values ?? [:].values { follower.yield() }
    }

    // MARK: - Showing

    /// Shows what a write has changed, unless a later one is shown already.
    func show(_ changes: JobChanges) {
        let followers = state.withLock { state in
            for id in changes.forgotten { forget(id, &state) }
            return changes.list.flatMap { change(by: $0, number: changes.number, &state) }
        }
        for follower in followers { follower.yield() }
    }

    /// Shows a job that ended earlier, unless some have expired since.
    func show(ended snapshot: JobSnapshot, ifForgotten count: Int) {
        state.withLock { state in
            guard state.forgottenCount == count, state.entries[snapshot.job.id] == nil,
                snapshot.heldBytes <= Self.endedBytes
            else { return }
            state.entries[snapshot.job.id] = Entry(snapshot: snapshot, number: 0)
            end(snapshot.job.id, &state)
        }
    }

    /// Shows how far running jobs have come.
    func show(_ progress: InfluenceProgress, secondsLeft: Double?, of ids: [JobIdentifier]) {
        let followers = state.withLock { state in
            ids.flatMap { id -> [Follower] in
                guard var entry = state.entries[id], entry.snapshot.job.status == .running else { return [] }
                state.entries[id] = nil
                entry.snapshot.progress = progress
                entry.snapshot.secondsLeft = secondsLeft
                entry.document = nil
                entry.revision += 1
                state.entries[id] = entry
                return Array(entry.followers.values)
            }
        }
        for follower in followers { follower.yield() }
    }

    private func change(by change: JobChanges.Change, number: Int, _ state: inout State) -> [Follower] {
        guard let job = change.job else { return [] }
        var entry: Entry
        if let shown = state.entries[change.id] {
            guard shown.number < number else { return [] }
            entry = shown
        } else if let queries = change.queries {
            entry = Entry(snapshot: JobSnapshot(job: job, queries: queries, finished: []), number: number)
        } else {
            return []
        }
        let hadEnded = entry.snapshot.job.status.isFinal
        entry.snapshot.job = job
        // Of a cancelled job no results are kept.
        entry.snapshot.finished = job.status == .cancelled ? [] : entry.snapshot.finished + change.finished
        if job.status != .running || !change.finished.isEmpty {
            entry.snapshot.progress = nil
            entry.snapshot.secondsLeft = nil
        }
        if job.status.isFinal, entry.snapshot.heldBytes > Self.endedBytes {
            state.entries[change.id] = nil
            return Array(entry.followers.values)
        }
        entry.number = number
        entry.document = nil
        entry.revision += 1
        state.entries[change.id] = entry
        if job.status.isFinal, !hadEnded { end(change.id, &state) }
        return Array(entry.followers.values)
    }

    /// Counts a job among those that have ended, and lets go of the one that did so first.
    private func end(_ id: JobIdentifier, _ state: inout State) {
        state.ended.append(id)
        if state.ended.count > endedLimit {
            let oldest = state.ended.removeFirst()
            // Its followers have been told of its end, and read the store from now on.
            state.entries[oldest] = nil
        }
    }

    private func forget(_ id: JobIdentifier, _ state: inout State) {
        state.forgottenCount += 1
        guard state.entries.removeValue(forKey: id) != nil else { return }
        state.ended.removeAll { $0 == id }
    }
}

/// A job at one moment.
struct JobSnapshot: Sendable, Equatable {
    var job: Job
    /// As they were understood.
    var queries: [InfluenceQuery]
    /// Those that are done, in the order in which they were.
    var finished: [FinishedQuery]
    /// How far the sweep with its queries is.
    var progress: InfluenceProgress?
    /// How long the stage at hand will take, as far as can be told.
    var secondsLeft: Double?

    /// What it holds in memory, about.
    var heldBytes: Int {
        queries.reduce(0) { $0 + $1.heldBytes }
            + finished.reduce(0) { $0 + MemoryLayout<FinishedQuery>.stride + ($1.failure?.detail.utf8.count ?? 0) }
    }
}

/// A query of a job that is done.
struct FinishedQuery: Sendable, Equatable {
    /// In the request, from 0.
    var position: Int
    var failure: QueryFailure?
}

/// What a write changes in the jobs that are shown.
struct JobChanges: Sendable {
    struct Change: Sendable {
        var id: JobIdentifier
        /// Of a job that was not shown before.
        var queries: [InfluenceQuery]?
        var finished: [FinishedQuery]
        /// As it is after the write; `nil` if it is gone.
        var job: Job?
    }

    private(set) var list: [Change] = []
    private(set) var forgotten: [JobIdentifier] = []
    /// Later writes have higher numbers.
    private(set) var number = 0

    mutating func add(_ id: JobIdentifier, queries: [InfluenceQuery]? = nil, finished: [FinishedQuery] = []) {
        list.append(Change(id: id, queries: queries, finished: finished))
    }

    mutating func forget(_ id: JobIdentifier) { forgotten.append(id) }

    /// Reads the jobs as they are at the end of the write.
    mutating func read(in database: Database, file: String, number: Int) throws {
        self.number = number
        for index in list.indices {
            list[index].job = try Row.fetchOne(
                database, sql: "SELECT \(JobSchema.jobColumns) FROM job WHERE id = ?",
                arguments: [list[index].id.description]
            ).map { try Job(row: $0, file: file) }
        }
    }
}
