import Attribution
import Foundation
import GRDB
import Testing

@testable import InfluenceService

@Suite("POST /v1/scores", .timeLimit(.minutes(30)))
struct ScoresAPITests {
    private static let texts = "\"texts\": [\"bb\", {\"id\": \"long\", \"text\": \"cccc\"}, \"d\"]"

    private func body(_ members: String = texts) -> String {
        "{\"prompt\": \"a\", \"completion\": \" b\", \(members)}"
    }

    @Test("answers at once with a score for each text, in the order given and by the name given")
    func order() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post("/v1/scores", json: body())
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"]?.hasPrefix("application/json") == true)
            #expect(try reply.count("scores") == 3)
            for (place, score) in [2, 4, 1].enumerated() {
                #expect(try reply.integer("scores.\(place).index") == place)
                #expect(try reply.integer("scores.\(place).score") == score)
            }
            #expect(try reply.string("scores.1.id") == "long")
            #expect(try reply.value("scores.0.id") == nil)
            #expect(try reply.integer("corpus_sequences") == 2_000)
            #expect(try reply.string("query.prompt") == "a")
        }
    }

    @Test("gives the same answer again, and leaves no job behind")
    func traces() async throws {
        try await TestServer.run { server in
            let replies = try await [
                server.client.post("/v1/scores", json: body()), server.client.post("/v1/scores", json: body()),
            ]
            #expect(try replies[0].value("scores") == replies[1].value("scores"))
            #expect(try await server.client.get("/v1/jobs").count("jobs") == 0)
        }
    }

    @Test("is listed while it waits and runs without what it asks, can be cancelled, and is then gone")
    func listing() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            async let reply = server.client.post("/v1/scores", json: body())
            try await server.sweeps(1)
            var list = try await server.client.get("/v1/jobs?status=running")
            while try list.count("jobs") == 0 { list = try await server.client.get("/v1/jobs?status=running") }
            let path = "/v1/jobs/\(try #require(try list.string("jobs.0.id")))"
            #expect(try list.value("jobs.0.title") == nil && !list.text.contains("cccc"))
            #expect(try await server.client.get("/v1/jobs?status=queued").count("jobs") == 0)
            let job = try await server.client.get(path)
            #expect(try job.string("status") == "running" && job.value("request") == nil)
            try await server.client.get(path + "/result").expectProblem("job-not-finished", status: 409)
            // It stands before those that the store has.
            let kept = try await server.post("kept")
            let page = try await server.client.get("/v1/jobs?limit=1")
            #expect(try page.string("jobs.0.id") == list.string("jobs.0.id"))
            let cursor = try #require(try page.string("next_cursor"))
            let next = try await server.client.get("/v1/jobs?limit=1&cursor=\(cursor)")
            #expect("/v1/jobs/\(try next.string("jobs.0.id") ?? "")" == kept)
            let cancelled = try await server.client.send("DELETE", path)
            #expect(try cancelled.status == 200 && cancelled.string("status") == "cancelled")
            try await reply.expectProblem("job-cancelled", status: 409)
            try await server.client.get(path).expectProblem("unknown-job", status: 404)
            #expect(try await server.client.get("/v1/jobs").count("jobs") == 1)
        }
    }

    @Test("gives the query up within a micro-batch when its client has gone, and has never written it")
    func clientGone() async throws {
        let folder = try TemporaryFolder()
        let process = try RunnerFixture(in: folder)
        let engine = SteppingEngine()
        engine.stop("mark", before: 3)
        try await process.runner.start(engine)
        let query = InfluenceQuery(
            prompt: "mark", completion: "x", candidates: CandidateSelection(texts: ["Xylophonquartett"]))
        let asking = Task { try await process.runner.answer(query, asker: nil, within: 3_600) }
        try await engine.waitUntil("mark", hasRun: 3)
        #expect(process.store.board.passingJobs().map(\.job.status) == [.running])
        #expect(try await process.store.jobs(limit: 10).jobs.isEmpty)
        asking.cancel()
        #expect(try await asking.value == nil)
        #expect(process.store.board.passingJobs().isEmpty)
        // What comes behind it runs: the sweep has ended, though its next step was never let go.
        let other = try await process.small("other")
        try await process.wait(for: .succeeded, of: other)
        #expect(engine.ran("mark") == 3)
        #expect(await process.runner.load.bytes == 0)
        await process.runner.stop(grace: 10)
        for case let file as URL in FileManager.default.enumerator(at: folder.url, includingPropertiesForKeys: nil)
            ?? .init()
        {
            let data = (try? Data(contentsOf: file)) ?? Data()
            #expect(data.range(of: Data("Xylophonquartett".utf8)) == nil, "\(file.lastPathComponent)")
        }
    }

    @Test("leaves nothing behind where the process dies, and does not run again")
    func death() async throws {
        let folder = try TemporaryFolder()
        let process = try RunnerFixture(in: folder)
        let engine = SteppingEngine()
        engine.stop("mark", before: 3)
        try await process.runner.start(engine)
        let asking = Task {
            try await process.runner.answer(
                InfluenceQuery(prompt: "mark", completion: "x"), asker: nil, within: 3_600)
        }
        try await engine.waitUntil("mark", hasRun: 3)
        let later = try RunnerFixture(in: folder)
        let recovery = try await later.store.recover(maximumAttempts: 3)
        #expect(recovery.jobs.isEmpty && recovery.sweeps.isEmpty)
        #expect(try await later.store.jobs(limit: 10).jobs.isEmpty)
        await process.runner.stop(grace: 0)
        #expect(try await asking.value == nil)
    }

    @Test("shares a sweep with jobs that are kept, of which alone something is kept")
    func sharing() async throws {
        let folder = try TemporaryFolder()
        let process = try RunnerFixture(in: folder) {
            $0.batching.windowMilliseconds = 3_600_000
            $0.batching.maximumQueries = 2
        }
        let engine = SteppingEngine()
        engine.stop("a", before: 3)
        try await process.runner.start(engine)
        let kept = try await process.large("a")
        let asking = Task {
            try await process.runner.answer(
                InfluenceQuery(prompt: "b", completion: "x", candidates: CandidateSelection(prefilter: .all)),
                asker: nil, within: 3_600)
        }
        try await engine.waitUntil("a", hasRun: 3)
        let members = try await process.store.database.read {
            try String.fetchAll($0, sql: "SELECT members FROM sweep")
        }
        #expect(members == ["[{\"job\":\"\(kept)\",\"positions\":[0]}]"])
        engine.stop("a", before: nil)
        guard case .result = try await asking.value else {
            Issue.record("there is no answer")
            return
        }
        try await process.wait(for: .succeeded, of: kept)
        #expect(engine.log == ["a+b begins", "a+b ends"])
        await process.runner.stop(grace: 10)
    }

    @Test("answers 503 with when to try again where the scores are not there in time, and gives the query up")
    func busy() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let reply = try await server.client.post("/v1/scores", json: body(), headers: ["Prefer": "wait=0"])
            try reply.expectProblem("unavailable", status: 503, says: "Try again")
            #expect(Int(reply.headers["retry-after"] ?? "").map { $0 > 0 } == true)
            #expect(try await server.client.get("/v1/jobs").count("jobs") == 0)
            server.engine.release()
            #expect(try await server.client.post("/v1/scores", json: body()).status == 200)
        }
    }

    @Test("answers 503 where as many queries wait as may")
    func queueFull() async throws {
        try await TestServer.run {
            $0.jobs.maximumQueuedQueries = 1
        } test: { server in
            server.engine.hold()
            _ = try await server.post("first")
            let reply = try await server.client.post("/v1/scores", json: body())
            try reply.expectProblem("queue-full", status: 503)
            #expect(reply.headers["retry-after"] != nil)
        }
    }

    @Test("answers with the problem if the query fails")
    func failure() async throws {
        try await TestServer.run { server in
            let broken = "{\"prompt\": \"a\", \"completion\": \" broken\", \"texts\": [\"c\"]}"
            try await server.client.post("/v1/scores", json: broken)
                .expectProblem("query-failed", status: 500, says: "a matrix is not finite")
            let unusable = "{\"prompt\": \"a\", \"completion\": \" unusable\", \"texts\": [\"c\"]}"
            try await server.client.post("/v1/scores", json: unusable)
                .expectProblem("unusable-field", status: 422, field: "completion")
        }
    }

    @Test(
        "refuses too many texts, texts that are too long, and what is no part of such a request, by name",
        arguments: [
            ("\"texts\": [\"a\", \"b\", \"c\"]", "texts", "at most 2 texts, found 3"),
            ("\"texts\": [\"a\", \"\u{e9}\u{e9}\"]", "texts[1]", "at most 3 bytes, found 4"),
            ("\"texts\": []", "texts", "at least one"),
            ("\"texts\": [{\"id\": \"a\"}]", "texts[0].text", "texts[0].text"),
            ("\"texts\": [\"a\"], \"top_k\": 3", "top_k", "unknown field"),
            ("\"texts\": [\"a\"], \"spans\": [{\"start\": 1, \"end\": 9}]", "spans", "within the completion's 2"),
            ("\"texts\": [\"a\"], \"contrast\": \" b\"", "contrast", "differs from the query's own"),
        ])
    func refusals(members: String, field: String, words: String) async throws {
        try await TestServer.run {
            $0.query.maximumTexts = 2
            $0.query.maximumTextBytes = 3
        } test: { server in
            try await server.client.post("/v1/scores", json: body(members))
                .expectProblem("unusable-field", status: 422, field: field, says: words)
        }
    }
}
