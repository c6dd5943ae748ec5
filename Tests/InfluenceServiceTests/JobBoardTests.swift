import Attribution
import Foundation
import Testing

@testable import InfluenceService

@Suite("The job board", .timeLimit(.minutes(30)))
struct JobBoardTests {
    private let folder: TemporaryFolder
    private let store: JobStore
    private let batch = JobTimings.Batch(id: "B", size: 3, number: 1)
    private let result = QueryOutcome.result(Data("{\"a\":1}".utf8))

    init() throws {
        folder = try TemporaryFolder()
        store = try JobStore(file: folder.url.appending(path: "jobs.sqlite"))
    }

    private func query(_ prompt: String) -> InfluenceQuery { InfluenceQuery(prompt: prompt, completion: "x") }

    @Test("shows what the store has, after each step of a job")
    func agreement() async throws {
        let id = try await store.add([query("a"), query("b")], isList: true).id
        func agrees(sourceLocation: SourceLocation = #_sourceLocation) async throws {
            #expect(store.board.snapshot(of: id)?.job == (try await store.job(id)), sourceLocation: sourceLocation)
        }
        try await agrees()
        #expect(store.board.snapshot(of: id)?.queries == [query("a"), query("b")])
        _ = try await store.start([id], batch: batch)
        try await agrees()
        store.board.show(InfluenceProgress(stage: .sweep, done: 1, total: 2), secondsLeft: 3, of: [id])
        #expect(store.board.snapshot(of: id)?.progress?.done == 1)
        let failure = QueryFailure(kind: .failed, detail: "no")
        try await store.record([JobOutcomes(id: id, outcomes: [0: .failure(failure)], seconds: [:])])
        try await agrees()
        #expect(store.board.snapshot(of: id)?.progress == nil)
        #expect(store.board.snapshot(of: id)?.finished == [FinishedQuery(position: 0, failure: failure)])
        try await store.putBack([id])
        try await agrees()
        try await store.record([JobOutcomes(id: id, outcomes: [1: result], seconds: [:])])
        try await agrees()
        #expect(store.board.snapshot(of: id)?.job.status == .succeeded)
        try await store.expire(keepCount: 0, endedBefore: .distantPast)
        #expect(store.board.snapshot(of: id) == nil)
        #expect(try await store.snapshot(of: id) == nil)
    }

    @Test("is filled again by the next process")
    func recovery() async throws {
        let id = try await store.add([query("a"), query("b")], isList: true).id
        _ = try await store.start([id], batch: batch)
        try await store.record([JobOutcomes(id: id, outcomes: [0: result], seconds: [:])])
        let later = try JobStore(file: folder.url.appending(path: "jobs.sqlite"))
        #expect(later.board.snapshot(of: id) == nil)
        #expect(try await later.snapshot(of: id)?.finished.count == 1)
        _ = try await later.recover(maximumAttempts: 3)
        let shown = try #require(later.board.snapshot(of: id))
        #expect(shown.job.status == .queued && shown.finished.map(\.position) == [0] && shown.queries.count == 2)
    }

    @Test("makes a job's bytes once for each change")
    func documents() async throws {
        let id = try await store.add([query("a")], isList: false).id
        var made = 0
        func document() -> [UInt8]? {
            store.board.document(of: id) { _ in
                made += 1
                return [UInt8(made)]
            }
        }
        #expect(document() == [1] && document() == [1])
        _ = try await store.start([id], batch: batch)
        #expect(document() == [2] && document() == [2])
        store.board.show(InfluenceProgress(stage: .sweep, done: 1, total: 2), secondsLeft: nil, of: [id])
        #expect(document() == [3])
        #expect(store.board.document(of: JobIdentifier()) { _ in [] } == nil)
    }

    @Test("lets go of the jobs that ended first, and takes those that are asked for")
    func limit() async throws {
        let board = JobBoard(endedLimit: 2)
        func ended() -> JobSnapshot {
            let job = Job(
                id: JobIdentifier(), status: .succeeded, isList: false, queryCount: 1, failedQueryCount: 0,
                created: Date(), attempts: 1, timings: JobTimings())
            return JobSnapshot(job: job, queries: [], finished: [])
        }
        let jobs = (0..<3).map { _ in ended() }
        for job in jobs { board.show(ended: job, ifForgotten: 0) }
        #expect(jobs.map { board.snapshot(of: $0.job.id) != nil } == [false, true, true])
        // What has expired since it was read is not shown.
        var changes = JobChanges()
        changes.forget(jobs[1].job.id)
        board.show(changes)
        board.show(ended: jobs[1], ifForgotten: 0)
        #expect(board.snapshot(of: jobs[1].job.id) == nil)
    }

    @Test("lets go of a large job as soon as it has ended, and of no document that is large")
    func large() async throws {
        let long = InfluenceQuery(prompt: String(repeating: "i", count: JobBoard.endedBytes), completion: "x")
        let ids = try await [
            store.add([long], isList: false).id, store.add([query("a")], isList: false).id,
        ]
        var made = 0
        for id in ids + ids {
            _ = try store.board.document(of: id) { job in
                made += 1
                return Array(try jsonText(JobDocument(job)).utf8)
            }
        }
        #expect(made == 3)
        let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        _ = try #require(store.board.follow(ids[0], continuation))
        for id in ids { _ = try await store.cancel(id) }
        var iterator = changes.makeAsyncIterator()
        #expect(await iterator.next() != nil)
        #expect(store.board.snapshot(of: ids[0]) == nil && store.board.snapshot(of: ids[1]) != nil)
        #expect(try await store.snapshot(of: ids[0])?.queries == [long])
        #expect(store.board.snapshot(of: ids[0]) == nil)
    }

    @Test("keeps why a query has failed, and what a job asks, to a few words")
    func texts() throws {
        let long = "é" + String(repeating: "\u{301}", count: 1_000_000)
        let failure = QueryFailure(kind: .unusable, detail: "there is no \"\(long)\"", field: "candidates.ids")
        #expect(failure.detail.utf8.count <= QueryFailure.detailBytes && failure.detail.hasSuffix("…"))
        let title = try #require(JobTitle([InfluenceQuery(prompt: long, completion: long)]))
        #expect(title.prompt.utf8.count <= 16 * JobTitle.promptLength)
        #expect(title.completion.utf8.count <= 16 * JobTitle.completionLength)
    }

    @Test("tells followers of changes, of many at once when they do not listen")
    func following() async throws {
        let id = try await store.add([query("a")], isList: false).id
        let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = try #require(store.board.follow(id, continuation))
        _ = try await store.start([id], batch: batch)
        for done in 0..<1_000 {
            store.board.show(InfluenceProgress(stage: .sweep, done: done, total: 1_000), secondsLeft: nil, of: [id])
        }
        store.board.dismissFollowers(of: [id])
        var count = 0
        for await _ in changes { count += 1 }
        #expect(count == 1)
        store.board.stopFollowing(id, number)
    }
}
