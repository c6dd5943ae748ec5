import Attribution
import Foundation
import GRDB
import Testing

@testable import InfluenceService

@Suite("Queries", .timeLimit(.minutes(30)))
struct BatchingTests {
    @Test("that arrive while a sweep runs share the next one")
    func sharing() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let first = try await server.post("first")
            try await server.sweeps(1)
            let paths = try await withThrowingTaskGroup(of: String.self) { group in
                for index in 0..<20 { group.addTask { try await server.post("p\(index)") } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            server.engine.release()
            var batches: Set<String> = []
            for path in paths {
                let job = try await server.job(path, until: "succeeded")
                #expect(try job.integer("timings.batch.size") == 20)
                #expect(try job.integer("timings.batch.number") == 2)
                batches.insert(try job.string("timings.batch.id") ?? "")
            }
            #expect(batches.count == 1)
            #expect(server.engine.sweeps.map(\.count) == [1, 20])
            #expect(try await server.job(first, until: "succeeded").integer("timings.batch.size") == 1)
        }
    }

    @Test("that are posted at once share one sweep, which starts when it is full")
    func window() async throws {
        try await TestServer.run {
            $0.batching.windowMilliseconds = 3_600_000
            $0.batching.maximumQueries = 20
        } test: { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        let reply = try await server.client.post(
                            "/v1/influence", json: "{\"prompt\": \"p\(index)\", \"completion\": \"x\"}",
                            headers: ["Prefer": "wait=3000"])
                        #expect(reply.status == 200)
                        // Each asker gets the answer to its own query.
                        #expect(try reply.string("query.prompt") == "p\(index)")
                    }
                }
                try await group.waitForAll()
            }
            #expect(server.engine.sweeps.map(\.count) == [20])
        }
    }

    @Test("of one job stay together, in order, and a list longer than a batch takes several sweeps")
    func limits() async throws {
        try await TestServer.run {
            $0.batching.maximumQueries = 4
        } test: { server in
            func list(_ prompts: String) -> String {
                "[" + prompts.map { "{\"prompt\": \"\($0)\", \"completion\": \"x\"}" }.joined(separator: ",") + "]"
            }
            server.engine.hold()
            _ = try await server.post("0")
            try await server.sweeps(1)
            var paths: [String] = []
            for prompts in ["ab", "c", "de", "fghijklmn", "o"] {
                let reply = try await server.client.post("/v1/influence", json: list(prompts))
                paths.append(try #require(reply.headers["location"]))
            }
            server.engine.release()
            var jobs: [Reply] = []
            for path in paths { jobs.append(try await server.job(path, until: "succeeded")) }
            #expect(server.engine.sweeps.map { $0.joined() } == ["0", "abc", "de", "fghi", "jklm", "no"])
            #expect(try jobs.map { try $0.integer("timings.sweeps") } == [1, 1, 1, 3, 1])
            let result = try await server.client.get(paths[3] + "/result")
            let answered = try (0..<9).map { try result.string("results.\($0).query.prompt") ?? "" }
            #expect(answered.joined() == "fghijklmn")
        }
    }
}

@Suite("A sweep", .timeLimit(.minutes(30)))
struct SweepStorageTests {
    private let folder: TemporaryFolder
    private let store: JobStore
    private let engine = FakeEngine()
    private let log = LogLines()
    private let runner: QueryRunner

    init() throws {
        folder = try TemporaryFolder()
        store = try JobStore(file: folder.url.appending(path: "jobs.sqlite"))
        runner = QueryRunner(
            store: store, batching: Configuration.Batching(), jobs: Configuration.Jobs(),
            observers: .init(logger: log.logger()),
            intervals: .init(progress: .milliseconds(1), retry: .milliseconds(10)))
    }

    private func waitForStatus(_ status: Job.Status, of id: JobIdentifier) async throws {
        while try await store.job(id)?.status != status { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test("writes its progress to the store now and then")
    func progress() async throws {
        engine.hold(reporting: InfluenceProgress(stage: .rescore, done: 2, total: 7))
        try await runner.start(engine)
        let id = try await runner.submit([InfluenceQuery(prompt: "a", completion: "x")], isList: false).job.id
        while try await store.job(id)?.progress != InfluenceProgress(stage: .rescore, done: 2, total: 7) {
            try await Task.sleep(for: .milliseconds(2))
        }
        engine.release()
        try await waitForStatus(.succeeded, of: id)
        #expect(try await store.job(id)?.progress == nil)
        await runner.stop(grace: 10)
    }

    @Test("keeps its results until the disk has room for them")
    func fullDisk() async throws {
        engine.hold()
        try await runner.start(engine)
        let query = InfluenceQuery(prompt: String(repeating: "long ", count: 40_000), completion: "x")
        let id = try await runner.submit([query], isList: false).job.id
        try await waitForStatus(.running, of: id)
        try await store.database.writeWithoutTransaction { database in
            let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            try database.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        engine.release()
        while !log.all.contains(where: { $0.contains("results could not be written") }) {
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(try await store.job(id)?.status == .running)
        try await store.database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 1000000") }
        try await waitForStatus(.succeeded, of: id)
        #expect(engine.sweeps.count == 1)
        await runner.stop(grace: 10)
    }
}

@Suite("Jobs of a server that went away", .timeLimit(.minutes(30)))
struct RestartTests {
    @Test("run at the next start, and results are still there")
    func restart() async throws {
        let folder = try TemporaryFolder()
        var paths: [String] = []
        try await TestServer.run(in: folder) { server in
            paths.append(try await server.post("done"))
            _ = try await server.job(paths[0], until: "succeeded")
            // What a process leaves that dies with one job running and one waiting.
            let store = try JobStore(file: folder.url.appending(path: Service.jobsFileName))
            for prompt in ["was running", "was waiting"] {
                let job = try await store.add([InfluenceQuery(prompt: prompt, completion: "x")], isList: false)
                paths.append(job.id.path)
                if prompt == "was running" {
                    _ = try await store.start([job.id], batch: JobTimings.Batch(id: "B", size: 1, number: 1))
                }
            }
        }
        try await TestServer.run(in: folder, isReady: false) { server in
            // Before the engine is there, jobs can be seen but not run.
            #expect(try await server.client.get(paths[0] + "/result").status == 200)
            #expect(try await server.client.get(paths[2]).string("status") == "queued")
            try await server.service.become(ready: server.engine)
            let job = try await server.job(paths[1], until: "succeeded")
            #expect(try job.integer("attempts") == 2)
            _ = try await server.job(paths[2], until: "succeeded")
            #expect(server.engine.sweeps == [["was running", "was waiting"]])
        }
    }

    @Test("that were running when it was told to stop run again, with no attempt counted")
    func shutdown() async throws {
        let folder = try TemporaryFolder()
        var path = ""
        try await TestServer.run(in: folder) { server in
            server.engine.hold()
            path = try await server.post("a")
            try await server.sweeps(1)
            await server.service.shutdown(grace: .zero)
            #expect(server.engine.cancelledInSweep == ["a"])
        }
        try await TestServer.run(in: folder) { server in
            let job = try await server.job(path, until: "succeeded")
            #expect(try job.integer("attempts") == 1)
        }
    }

    @Test("finish within the grace of a stop, and whoever waits for them is answered")
    func grace() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            async let waiting = server.client.post(
                "/v1/influence", json: "{\"prompt\": \"a\", \"completion\": \"b\"}", headers: ["Prefer": "wait=3000"])
            try await server.sweeps(1)
            async let stopping: Void = server.service.shutdown(grace: .seconds(3_000))
            // The stop is under way when the address no longer answers.
            while (try? await server.client.get("/healthz")) != nil { try await Task.sleep(for: .milliseconds(5)) }
            server.engine.release()
            #expect(try await waiting.status == 200)
            await stopping
        }
    }

    @Test("that killed it twice run alone")
    func suspects() async throws {
        let folder = try TemporaryFolder()
        let store = try JobStore(file: folder.url.appending(path: Service.jobsFileName))
        for (prompt, deaths) in [("a", 0), ("bad", 2), ("b", 0), ("c", 1)] {
            let job = try await store.add([InfluenceQuery(prompt: prompt, completion: "x")], isList: false)
            try await store.database.write { database in
                try database.execute(
                    sql: "UPDATE job SET attempts = ? WHERE id = ?", arguments: [deaths, job.id.description])
            }
        }
        try await TestServer.run(in: folder) { server in
            while try await server.client.get("/v1/jobs?status=succeeded").count("jobs") != 4 {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(server.engine.sweeps == [["a"], ["bad"], ["b", "c"]])
        }
    }
}
