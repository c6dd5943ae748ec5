import Attribution
import Foundation
import GRDB
import Testing

@testable import InfluenceService

@Suite("The job store", .timeLimit(.minutes(30)))
struct JobStoreTests {
    private let folder: TemporaryFolder
    private let store: JobStore

    private var file: URL { folder.url.appending(path: "jobs.sqlite") }

    init() throws {
        folder = try TemporaryFolder()
        store = try JobStore(file: folder.url.appending(path: "jobs.sqlite"))
    }

    private func query(_ prompt: String) -> InfluenceQuery { InfluenceQuery(prompt: prompt, completion: "x") }

    private let batch = JobTimings.Batch(id: "B", size: 3, number: 1)
    private let result = QueryOutcome.result(Data("{\"a\":1}".utf8))
    private let failure = QueryOutcome.failure(QueryFailure(kind: .failed, detail: "no"))

    @Test("keeps a job as it was added, and its queries with all their defaults")
    func adding() async throws {
        let date = Date(timeIntervalSince1970: 1_700_000_000.123)
        let job = try await store.add([query("a"), query("b")], isList: true, at: date)
        #expect(try await store.job(job.id) == job)
        #expect(
            job.status == .queued && job.queryCount == 2 && job.isList
                && job.created.rfc3339 == "2023-11-14T22:13:20.123Z")
        #expect(try await store.queries(of: job.id) == [query("a"), query("b")])
        #expect(try await store.job(JobIdentifier()) == nil)
        #expect(try await store.queries(of: JobIdentifier()) == nil)
    }

    @Test("names a job after its first query, each text cut to what a list has room for")
    func titles() async throws {
        let short = try await store.add([query("a"), query("b")], isList: true)
        #expect(try await store.job(short.id)?.title == JobTitle([query("a")]))
        let long = InfluenceQuery(
            prompt: String(repeating: "é", count: 90) + "x", completion: String(repeating: "👩‍🔬", count: 41))
        let title = try #require(try await store.job(try await store.add([long], isList: false).id)?.title)
        #expect(title.prompt == String(repeating: "é", count: 89) + "…")
        #expect(title.completion == String(repeating: "👩‍🔬", count: 39) + "…")
        let whole = InfluenceQuery(
            prompt: String(repeating: "é", count: 90), completion: String(repeating: "👩‍🔬", count: 40))
        #expect(JobTitle([whole])?.prompt == whole.prompt && JobTitle([whole])?.completion == whole.completion)
    }

    @Test(
        "fails a job of an earlier version whose numbers are out of their limits, and says which",
        arguments: [
            (#""candidates": {"limit": 4611686018427387904}"#, "candidates.limit"), (#""top_k": -1"#, "top_k"),
            (#""damping": 1e300"#, "damping"),
            (#""spans": [{"start": 0, "end": 9223372036854775807}]"#, "spans[0].end"),
        ])
    func outOfLimits(members: String, field: String) async throws {
        let (kept, old) = (
            try await store.add([query("a")], isList: false), try await store.add([query("b")], isList: false)
        )
        let request = #"[{"prompt": "b", "completion": "x", \#(members)}]"#
        try await store.database.write { database in
            try database.execute(
                sql: "UPDATE job SET request = ?, status = 'running', attempts = 1 WHERE id = ?",
                arguments: [request, old.id.description])
        }
        let recovery = try await store.recover(maximumAttempts: 3)
        #expect(recovery.jobs.map(\.id) == [kept.id])
        let job = try #require(try await store.job(old.id))
        #expect(job.status == .failed && job.failedQueryCount == 1 && job.finished != nil)
        #expect(job.failure?.detail.contains("\(field): expected ") == true, "\(String(describing: job.failure))")
        #expect(try await store.recover(maximumAttempts: 3).jobs.map(\.id) == [kept.id])
    }

    @Test("names the jobs of an earlier version too, except for one that it cannot read")
    func oldTitles() async throws {
        let (kept, broken) = (
            try await store.add([query("a")], isList: false), try await store.add([query("b")], isList: false)
        )
        try await store.database.write { database in
            try database.execute(
                sql: """
                    ALTER TABLE job DROP COLUMN title;
                    DELETE FROM grdb_migrations WHERE identifier = '4';
                    UPDATE job SET request = '[{}]' WHERE id = '\(broken.id)';
                    """)
        }
        let reopened = try JobStore(file: file)
        #expect(try await reopened.job(kept.id)?.title == JobTitle([query("a")]))
        #expect(try await reopened.job(broken.id)?.title == nil)
    }

    @Test("syncs each commit to the disk")
    func durability() throws {
        let (journal, synchronous) = try store.database.writeWithoutTransaction { database in
            (
                try String.fetchOne(database, sql: "PRAGMA journal_mode"),
                try Int.fetchOne(database, sql: "PRAGMA synchronous")
            )
        }
        #expect(journal == "wal")
        // 2 is FULL: sqlite.org/pragma.html#pragma_synchronous.
        #expect(synchronous == 2)
    }

    @Test("lists jobs from the newest to the oldest, a page at a time, by status if asked")
    func listing() async throws {
        var ids: [JobIdentifier] = []
        for prompt in ["a", "b", "c", "d", "e"] { ids.append(try await store.add([query(prompt)], isList: false).id) }
        _ = try await store.cancel(ids[1])
        let first = try await store.jobs(limit: 2)
        #expect(first.jobs.map(\.id) == [ids[4], ids[3]])
        let second = try await store.jobs(limit: 2, after: first.next)
        #expect(second.jobs.map(\.id) == [ids[2], ids[1]])
        let third = try await store.jobs(limit: 2, after: second.next)
        #expect(third.jobs.map(\.id) == [ids[0]] && third.next == nil)
        #expect(try await store.jobs(status: .cancelled, limit: 10).jobs.map(\.id) == [ids[1]])
        #expect(try await store.jobs(status: .queued, limit: 4).next == nil)
    }

    @Test("ends a job when the last of its queries is done, and says where its time went")
    func finishing() async throws {
        let start = Date(timeIntervalSince1970: 1_700_000_000)
        let id = try await store.add([query("a"), query("b")], isList: true, at: start).id
        #expect(try await store.start([id], batch: batch, at: start + 2) == [id])
        try await store.note(InfluenceProgress(stage: .sweep, done: 5, total: 9), of: [id])
        var job = try #require(try await store.job(id))
        #expect(job.status == .running && job.attempts == 1 && job.timings.queue == 2 && job.timings.batch == batch)
        #expect(job.progress == InfluenceProgress(stage: .sweep, done: 5, total: 9))

        try await store.record([JobOutcomes(id: id, outcomes: [1: failure], seconds: [.sweep: 3])], at: start + 5)
        job = try #require(try await store.job(id))
        #expect(job.status == .running && job.failedQueryCount == 1 && job.progress == nil)

        _ = try await store.start([id], batch: batch, at: start + 5)
        try await store.record([JobOutcomes(id: id, outcomes: [0: result], seconds: [.sweep: 4])], at: start + 9)
        job = try #require(try await store.job(id))
        #expect(job.status == .succeeded && job.finished == start + 9 && job.attempts == 1)
        #expect(job.timings.total == 9 && job.timings.sweep == 7 && job.timings.sweeps == 2 && job.timings.queue == 2)
        #expect(job.failure == QueryFailure(kind: .failed, detail: "no"))
        #expect(try await store.outcomes(of: id) == [result, failure])
    }

    @Test("fails a job all of whose queries failed")
    func failing() async throws {
        let id = try await store.add([query("a")], isList: false).id
        _ = try await store.start([id], batch: batch)
        try await store.record([JobOutcomes(id: id, outcomes: [0: failure], seconds: [:])])
        #expect(try await store.job(id)?.status == .failed)
    }

    @Test("cancels a job once, and takes no result for it afterwards")
    func cancelling() async throws {
        let id = try await store.add([query("a"), query("b")], isList: true).id
        _ = try await store.start([id], batch: batch)
        try await store.record([JobOutcomes(id: id, outcomes: [0: result], seconds: [:])])
        #expect(try await store.cancel(id)?.didCancel == true)
        #expect(try await store.cancel(id)?.didCancel == false)
        try await store.record([JobOutcomes(id: id, outcomes: [1: result], seconds: [:])])
        #expect(try await store.start([id], batch: batch) == [])
        #expect(try await store.job(id)?.status == .cancelled)
        #expect(try await store.outcomes(of: id) == [])
        #expect(try await store.cancel(JobIdentifier()) == nil)
    }

    @Test("queues unfinished jobs again after the process died, less the queries that were done")
    func recovery() async throws {
        let queued = try await store.add([query("a")], isList: false).id
        let running = try await store.add([query("b"), query("c"), query("d")], isList: true).id
        let done = try await store.add([query("e")], isList: false).id
        _ = try await store.start([running, done], batch: batch)
        try await store.record([
            JobOutcomes(id: running, outcomes: [1: result], seconds: [:]),
            JobOutcomes(id: done, outcomes: [0: result], seconds: [:]),
        ])

        // The first store is neither closed nor told: this is what a new process finds.
        let later = try JobStore(file: file)
        let waiting = try await later.recover(maximumAttempts: 3).jobs
        #expect(
            waiting == [
                WaitingJob(id: queued, queries: [.init(position: 0, query: query("a"))], attempts: 0),
                WaitingJob(
                    id: running,
                    queries: [.init(position: 0, query: query("b")), .init(position: 2, query: query("d"))],
                    attempts: 1),
            ])
        #expect(try await later.job(running)?.status == .queued)
        #expect(try await later.job(done)?.status == .succeeded)
        #expect(try await later.outcomes(of: done) == [result])
    }

    @Test("gives a job up that was running each time the process died")
    func abandoning() async throws {
        let id = try await store.add([query("a")], isList: false).id
        for attempt in 1...2 {
            _ = try await store.start([id], batch: batch)
            let waiting = try await store.recover(maximumAttempts: 2).jobs
            #expect(waiting.map(\.attempts) == (attempt == 1 ? [1] : []))
        }
        let job = try await store.job(id)
        #expect(job?.status == .failed && job?.failure?.kind == .abandoned && job?.finished != nil)
    }

    @Test("does not count a stop on purpose as a death")
    func puttingBack() async throws {
        let id = try await store.add([query("a")], isList: false).id
        for _ in 1...3 {
            _ = try await store.start([id], batch: batch)
            try await store.putBack([id])
            #expect(try await store.recover(maximumAttempts: 1).jobs.map(\.id) == [id])
        }
    }

    @Test("fails a job that this version cannot read, and goes on")
    func unreadableRequest() async throws {
        let bad = try await store.add([query("a")], isList: false).id
        let good = try await store.add([query("b")], isList: false).id
        try await store.database.write { database in
            try database.execute(
                sql: "UPDATE job SET request = '[{\"prompt\": 1}]' WHERE id = ?", arguments: [bad.description])
        }
        #expect(try await store.recover(maximumAttempts: 3).jobs.map(\.id) == [good])
        #expect(try await store.job(bad)?.status == .failed)
    }

    @Test("forgets ended jobs by number and by age, and no others")
    func expiry() async throws {
        let start = Date(timeIntervalSince1970: 1_700_000_000)
        var ids: [JobIdentifier] = []
        for index in 0..<5 {
            let id = try await store.add([query("a")], isList: false, at: start).id
            _ = try await store.start([id], batch: batch, at: start)
            if index < 4 {
                try await store.record(
                    [JobOutcomes(id: id, outcomes: [0: result], seconds: [:])], at: start + Double(index))
            }
            ids.append(id)
        }
        #expect(try await store.expire(keepCount: 10, endedBefore: start + 1) == 1)
        #expect(try await store.jobs(limit: 10).jobs.map(\.id) == ids[1...].reversed())
        #expect(try await store.expire(keepCount: 1, endedBefore: start) == 2)
        #expect(try await store.jobs(limit: 10).jobs.map(\.id) == [ids[4], ids[3]])
        let left = try await store.database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM outcome") }
        #expect(left == 1)
    }

    @Test(
        "forgets the oldest ended jobs whose requests and results are more than allowed together, and never the newest")
    func expiryByBytes() async throws {
        let start = Date(timeIntervalSince1970: 1_700_000_000)
        var ids: [JobIdentifier] = []
        for (index, length) in [50, 10, 30, 100].enumerated() {
            let id = try await store.add([query("a"), query("b")], isList: true, at: start).id
            let half = QueryOutcome.result(Data(repeating: 0x41, count: length / 2))
            try await store.record(
                [JobOutcomes(id: id, outcomes: [0: half, 1: half], seconds: [:])], at: start + Double(index))
            ids.append(id)
        }
        func expire(_ bytes: Int) async throws -> [JobIdentifier] {
            try await store.expire(keepCount: 10, keepBytes: bytes, endedBefore: start)
            return try await store.jobs(limit: 10).jobs.map(\.id)
        }
        let request = try jsonText([query("a"), query("b")]).utf8.count
        #expect(try await expire(190 + 4 * request) == [ids[3], ids[2], ids[1], ids[0]])
        #expect(try await expire(189 + 4 * request) == [ids[3], ids[2], ids[1]])
        #expect(try await expire(135 + 3 * request) == [ids[3], ids[2]])
        #expect(try await expire(1) == [ids[3]])
    }

    @Test("gives what cancelled jobs with long requests took of the disk back to it")
    func compaction() async throws {
        let long = String(repeating: "long ", count: 400_000)
        for _ in 0..<4 {
            let id = try await store.add([InfluenceQuery(id: long, prompt: "a", completion: "x")], isList: false).id
            _ = try await store.cancel(id)
        }
        let newest = try await store.add([query("a")], isList: false).id
        _ = try await store.cancel(newest)
        func bytes() throws -> Int {
            try ["", "-wal"].reduce(0) { sum, suffix in
                let size = try FileManager.default.attributesOfItem(atPath: file.path + suffix)[.size] as? NSNumber
                return sum + (size?.intValue ?? 0)
            }
        }
        #expect(try bytes() > 8_000_000)
        try await store.expire(keepCount: 10, keepBytes: 10_000, endedBefore: .distantPast)
        try await store.compact()
        #expect(try bytes() < 2_000_000)
        #expect(try await store.jobs(limit: 10).jobs.map(\.id) == [newest])
        // There is nothing to give back.
        try await store.compact()
    }

    @Test("is written again once where an earlier version has made it, with keys that have an owner")
    func earlierVersion() async throws {
        let old = folder.url.appending(path: "old.sqlite")
        do {
            let database = try DatabaseQueue(path: old.path)
            try JobSchema.migrator.migrate(database, upTo: "4")
            try await database.write { database in
                for (id, asker, key) in [(JobIdentifier(), "t1", "t1/k"), (JobIdentifier(), nil, "t1/k2")] {
                    try database.execute(
                        sql: """
                            INSERT INTO job (id, status, is_list, query_count, created, timings, request, asker,
                                idempotency_key, request_digest)
                            VALUES (?, 'succeeded', 0, 1, 0, '{"sweeps":0}', '[]', ?, ?, x'01')
                            """, arguments: [id.description, asker, key])
                }
            }
        }
        let opened = try JobStore(file: old)
        #expect(opened.rewritingFailure == nil)
        #expect(try await opened.database.read { try Int.fetchOne($0, sql: "PRAGMA auto_vacuum") } == 2)
        let digest = Data([1])
        #expect(try await opened.job(for: IdempotencyKey(text: "k", owner: "t1", requestDigest: digest)) != nil)
        #expect(try await opened.job(for: IdempotencyKey(text: "t1/k2", requestDigest: digest)) != nil)
        #expect(try await opened.job(for: IdempotencyKey(text: "k2", owner: "t1", requestDigest: digest)) == nil)
        #expect(try await opened.database.read { try Int.fetchOne($0, sql: "SELECT sum(request_bytes) FROM job") } == 4)
    }

    @Test("refuses a file that is no database, and one of a newer version")
    func foreignFiles() async throws {
        let other = folder.url.appending(path: "other.sqlite")
        try Data(repeating: 0x41, count: 8_192).write(to: other)
        let error = #expect(throws: JobStoreError.self) { try JobStore(file: other) }
        #expect(error?.description.hasPrefix("\(other.path): the job database cannot be opened") == true)
        try await store.database.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('99')") }
        #expect(throws: JobStoreError.newerFormat(file: file.path)) { try JobStore(file: file) }
    }

    @Test("says that the disk is full, loses nothing, and goes on when there is room")
    func fullDisk() async throws {
        let kept = try await store.add([query("a")], isList: false).id
        let pages = try await store.database.write { database in
            try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
        }
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = \(pages)") }
        await #expect(throws: JobStoreError.diskFull(file: file.path)) {
            try await store.add([query(String(repeating: "long ", count: 10_000))], isList: false)
        }
        #expect(try await store.jobs(limit: 10).jobs.map(\.id) == [kept])
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
        _ = try await store.add([query(String(repeating: "long ", count: 10_000))], isList: false)
        #expect(try await store.jobs(limit: 10).jobs.count == 2)
    }
}

@Suite("A job's identifier", .timeLimit(.minutes(30)))
struct JobIdentifierTests {
    @Test("is a ULID: sorted by time, and safe in a URL")
    func form() {
        let early = JobIdentifier(at: Date(timeIntervalSince1970: 1_469_918_176.385))
        // The example of the ULID specification.
        #expect(early.description.hasPrefix("01ARYZ6S41"))
        #expect(early.description.count == 26)
        #expect(early.description < JobIdentifier(at: Date(timeIntervalSince1970: 1_469_918_176.386)).description)
        #expect(Set((0..<1_000).map { _ in JobIdentifier(at: Date(timeIntervalSince1970: 0)) }).count == 1_000)
    }

    @Test("is read from its text, and from nothing else")
    func reading() {
        let id = JobIdentifier()
        #expect(JobIdentifier(id.description) == id)
        #expect(JobIdentifier(id.description.lowercased()) == id)
        for text in [
            "", "x", id.description + "0", String(id.description.dropLast()), "01ARYZ6S41ILOU000000000000",
            "../../../../../etc/passwd00",
        ] {
            #expect(JobIdentifier(text) == nil)
        }
    }
}
