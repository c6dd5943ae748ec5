import Attribution
import Foundation
import GRDB
import Synchronization

/// The jobs that clients ask for, in memory: all that have not ended, and small ones that ended or were asked for recently.
///
/// The store shows each change here after its commit. A request for a job on the board does not wait for the disk, and followers of the job
/// are notified of its changes. Passing jobs, of which nothing is written, are only here, and only until they end.
final class JobBoard: Sendable {
    /// Notified that a job has changed; finished when the server dismisses the follower.
    typealias Follower = AsyncStream<Void>.Continuation

    private struct Entry {
        var snapshot: JobSnapshot
        /// Whether the store does not have the job.
        var isPassing = false
        /// The number of the write whose state this entry shows.
        var number: Int
        /// The snapshot as bytes, after the first request for them.
        var document: [UInt8]?
        /// Increases with each change.
        var revision = 0
        var followers: [Int: Follower] = [:]

        mutating func noteChange() {
            document = nil
            revision += 1
        }
    }

    private struct State {
        var entries: [JobIdentifier: Entry] = [:]
        /// Jobs that have ended, the next one to be removed first.
        var ended: [JobIdentifier] = []
        var forgottenCount = 0
        var lastFollower = 0
    }

    static let endedLimit = 256
    /// The most bytes of an ended job that stays: its queries, and the reasons for which any of them failed. Larger ones are read from the
    /// store.
    static let endedBytes = 16_384
    /// The most bytes of a document that is kept to be sent again.
    static let documentLimit = 4_096

    private let endedLimit: Int
    private let lastNumber = Atomic<Int>(0)
    /// Guards what the board shows. Followers are notified, and documents are made, while it is not locked.
    private let state = Mutex(State())

    init(endedLimit: Int = JobBoard.endedLimit) {
        self.endedLimit = endedLimit
    }

    /// The number of the next write; to be called while no other write is running.
    func nextChange() -> Int { lastNumber.add(1, ordering: .relaxed).newValue }

    var forgottenCount: Int { state.withLock { $0.forgottenCount } }

    // MARK: - Reading

    func snapshot(of id: JobIdentifier) -> JobSnapshot? { state.withLock { $0.entries[id]?.snapshot } }

    /// The snapshot as bytes, which are made only if it has changed since the last request for them.
    ///
    /// - Returns: `nil` if the job is not on the board.
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

    /// Notifies a follower of each change of a job. A follower that has not reacted to a notification gets no second one.
    ///
    /// - Returns: A number for ``stopFollowing(_:_:)``; `nil` if the job is not on the board.
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

    /// Dismisses the followers of jobs that will not end in this process.
    func dismissFollowers(of ids: some Sequence<JobIdentifier>) {
        let followers = state.withLock { state in
            ids.flatMap { id -> [Follower] in
                defer { state.entries[id]?.followers = [:] }
                return state.entries[id].map { Array($0.followers.values) } ?? []
            }
        }
        // Finishing a follower can call back here, so the lock must be free.
        for follower in followers { follower.finish() }
    }

    // MARK: - Passing jobs

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

    func begin(passing ids: [JobIdentifier], in batch: JobTimings.Batch, at date: Date = Date()) {
        change(
            ids, where: \.isPassing,
            by: { snapshot in
                snapshot.job.begin(in: batch, at: date)
                snapshot.job.status = .running
                snapshot.job.started = date.inMilliseconds
                snapshot.job.attempts = 1
            })
    }

    /// Removes a passing job. Its followers find that it is gone.
    func remove(passing id: JobIdentifier) {
        let entry = state.withLock { state in
            state.entries[id]?.isPassing == true ? state.entries.removeValue(forKey: id) : nil
        }
        for follower in entry?.followers.values ?? [:].values { follower.yield() }
    }

    // MARK: - Changes

    /// Shows what a write has changed, unless the board already shows a later one.
    func show(_ changes: JobChanges) {
        let followers = state.withLock { state in
            for id in changes.forgotten { forget(id, &state) }
            return changes.list.flatMap { change(by: $0, number: changes.number, &state) }
        }
        for follower in followers { follower.yield() }
    }

    /// Shows a job that ended earlier, unless jobs have expired since the count was read.
    func show(ended snapshot: JobSnapshot, ifForgotten count: Int) {
        state.withLock { state in
            guard state.forgottenCount == count, state.entries[snapshot.job.id] == nil,
                snapshot.heldBytes <= Self.endedBytes
            else { return }
            state.entries[snapshot.job.id] = Entry(snapshot: snapshot, number: 0)
            end(snapshot.job.id, &state)
        }
    }

    func show(_ progress: InfluenceProgress, secondsLeft: Double?, of ids: [JobIdentifier]) {
        change(
            ids, where: { $0.snapshot.job.status == .running },
            by: { ($0.progress, $0.secondsLeft) = (progress, secondsLeft) })
    }

    private func change(
        _ ids: [JobIdentifier], where isMeant: (Entry) -> Bool, by body: (inout JobSnapshot) -> Void
    ) {
        let followers = state.withLock { state in
            ids.flatMap { id -> [Follower] in
                guard var entry = state.entries[id], isMeant(entry) else { return [] }
                // With a second reference to them, the snapshot's lists would be copied.
                state.entries[id] = nil
                body(&entry.snapshot)
                entry.noteChange()
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
        // A cancelled job has no results.
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
        entry.noteChange()
        state.entries[change.id] = entry
        if job.status.isFinal, !hadEnded { end(change.id, &state) }
        return Array(entry.followers.values)
    }

    private func end(_ id: JobIdentifier, _ state: inout State) {
        state.ended.append(id)
        if state.ended.count > endedLimit {
            // The followers of the removed job have been notified of its end, and read the store from now on.
            state.entries[state.ended.removeFirst()] = nil
        }
    }

    private func forget(_ id: JobIdentifier, _ state: inout State) {
        state.forgottenCount += 1
        guard state.entries.removeValue(forKey: id) != nil else { return }
        state.ended.removeAll { $0 == id }
    }
}

struct JobSnapshot: Sendable, Equatable {
    var job: Job
    var queries: [InfluenceQuery]
    /// The queries that are done, in the order in which they ended.
    var finished: [FinishedQuery]
    /// The progress of the sweep that has queries of the job.
    var progress: InfluenceProgress?
    var secondsLeft: Double?

    var heldBytes: Int {
        queries.reduce(0) { $0 + $1.heldBytes }
            + finished.reduce(0) { $0 + MemoryLayout<FinishedQuery>.stride + ($1.failure?.detail.utf8.count ?? 0) }
    }
}

struct FinishedQuery: Sendable, Equatable {
    /// The query's index in the request.
    var position: Int
    var failure: QueryFailure?
}

/// What a write changes in the jobs on the board.
struct JobChanges: Sendable {
    struct Change: Sendable {
        var id: JobIdentifier
        /// The queries of a job that is new to the board.
        var queries: [InfluenceQuery]?
        var finished: [FinishedQuery]
        /// The job after the write; `nil` if it is gone.
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

    /// Reads the jobs at the end of the write.
    mutating func read(in database: Database, file: String, number: Int) throws {
        self.number = number
        for index in list.indices {
            list[index].job = try Job.fetch(list[index].id, in: database, file: file)
        }
    }
}
