import Attribution
import Corpus
import Foundation
import JSON
import Testing

@testable import InfluenceService

@Suite("/v1/jobs", .timeLimit(.minutes(30)))
struct JobAPITests {
    @Test("shows a job's stage and progress while it runs, and its timings when it has ended")
    func journey() async throws {
        try await TestServer.run { server in
            server.engine.hold(reporting: InfluenceProgress(stage: .sweep, done: 3, total: 8))
            let path = try await server.post("a")
            var job = try await server.job(path, until: "running")
            while try job.string("stage") != "sweep" { job = try await server.client.get(path) }
            #expect(try job.integer("progress.done") == 3)
            #expect(try job.integer("progress.total") == 8)
            #expect(try job.string("request.prompt") == "a")
            #expect(try job.value("finished_at") == nil)
            #expect(try job.value("result") == nil)

            server.engine.release()
            job = try await server.job(path, until: "succeeded")
            #expect(try job.string("result") == path + "/result")
            #expect(try job.value("stage") == nil)
            #expect(try job.integer("attempts") == 1)
            for time in ["created_at", "started_at", "finished_at"] {
                let text = try #require(try job.string(time))
                #expect(text.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil, "\(text)")
            }
            for time in ["queue", "total", "gradients", "sweep"] { #expect(try job.value("timings.\(time)") != nil) }
            #expect(try job.integer("timings.batch.size") == 1)
            #expect(try job.integer("timings.batch.number") == 1)
            #expect(try job.string("timings.batch.id")?.isEmpty == false)
        }
    }

    @Test("are listed from the newest to the oldest, by status and by page")
    func listing() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            var paths: [String] = []
            for prompt in ["a", "b", "c"] { paths.append(try await server.post(prompt)) }
            _ = try await server.client.send("DELETE", paths[1])
            let ids = paths.map { $0.replacing("/v1/jobs/", with: "") }
            let first = try await server.client.get("/v1/jobs?limit=2")
            #expect(try first.count("jobs") == 2)
            #expect(try first.string("jobs.0.id") == ids[2])
            #expect(try first.string("jobs.1.id") == ids[1])
            #expect(try first.value("jobs.0.request") == nil)
            #expect(try first.string("jobs.0.title.prompt") == "c")
            #expect(try first.string("jobs.0.title.completion") == " Paris")
            let cursor = try #require(try first.string("next_cursor"))
            let second = try await server.client.get("/v1/jobs?limit=2&cursor=\(cursor)")
            #expect(try second.string("jobs.0.id") == ids[0])
            #expect(try second.value("next_cursor") == nil)
            let cancelled = try await server.client.get("/v1/jobs?status=cancelled")
            #expect(try cancelled.count("jobs") == 1)
            #expect(try cancelled.string("jobs.0.id") == ids[1])
        }
    }

    @Test(
        "refuse query items that are malformed or unknown",
        arguments: [
            ("status=done", "status", "queued, running"), ("limit=0", "limit", "from 1 to 1000"),
            ("limit=many", "limit", "many"),
            ("cursor=x", "cursor", "next_cursor"), ("offset=3", "offset", "status, failures, limit, cursor"),
            ("failures=yes", "failures", "true or false"),
        ])
    func items(item: String, field: String, words: String) async throws {
        try await TestServer.run { server in
            try await server.client.get("/v1/jobs?\(item)").expectProblem(
                "invalid-field", status: 400, field: field, says: words)
        }
    }

    @Test("are found by what failed in them, also those that have other queries with answers")
    func failures() async throws {
        try await TestServer.run { server in
            let good = try await server.post("a")
            let bad = try await server.post("b", completion: " broken")
            let reply = try await server.client.post(
                "/v1/influence",
                json: #"[{"prompt": "c", "completion": "x"}, {"prompt": "d", "completion": " broken"}]"#)
            let mixed = try #require(reply.headers["location"])
            _ = try await server.job(good, until: "succeeded")
            _ = try await server.job(bad, until: "failed")
            _ = try await server.job(mixed, until: "succeeded")
            let found = try await server.client.get("/v1/jobs?failures=true")
            #expect(try found.count("jobs") == 2)
            #expect(
                try ["/v1/jobs/\(found.string("jobs.0.id") ?? "")", "/v1/jobs/\(found.string("jobs.1.id") ?? "")"] == [
                    mixed, bad,
                ])
            #expect(try await server.client.get("/v1/jobs?failures=false").count("jobs") == 3)
            #expect(try await server.client.get("/v1/jobs?failures=true&status=succeeded").count("jobs") == 1)
        }
    }

    @Test("answer 404 for a job that is not there")
    func unknown() async throws {
        try await TestServer.run { server in
            for id in [JobIdentifier().description, "x", "%2e%2e"] {
                try await server.client.get("/v1/jobs/\(id)").expectProblem("unknown-job", status: 404)
                try await server.client.get("/v1/jobs/\(id)/result").expectProblem("unknown-job", status: 404)
                try await server.client.send("DELETE", "/v1/jobs/\(id)").expectProblem("unknown-job", status: 404)
            }
        }
    }

    @Test("answer 409 for the result of a job that has not finished")
    func notFinished() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let path = try await server.post("a")
            _ = try await server.job(path, until: "running")
            try await server.client.get(path + "/result").expectProblem(
                "job-not-finished", status: 409, says: "The job is still running")
            server.engine.release()
            _ = try await server.job(path, until: "succeeded")
            #expect(try await server.client.get(path + "/result").status == 200)
        }
    }

    @Test("answer with its own problem for the result of a job that failed")
    func failed() async throws {
        try await TestServer.run { server in
            let path = try await server.post("a", completion: " broken")
            let job = try await server.job(path, until: "failed")
            #expect(try job.string("error.detail") == "a matrix is not finite")
            try await server.client.get(path + "/result").expectProblem("query-failed", status: 500)
            let list = try await server.client.post(
                "/v1/influence", json: "[{\"prompt\": \"a\", \"completion\": \" broken\"}]")
            let listPath = try #require(list.headers["location"])
            _ = try await server.job(listPath, until: "failed")
            let result = try await server.client.get(listPath + "/result")
            #expect(result.status == 200)
            #expect(try result.string("results.0.error.detail") == "a matrix is not finite")
        }
    }

    @Test("give results as NDJSON and as CSV")
    func formats() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post(
                "/v1/influence",
                json: """
                    [{"id": "q,0", "prompt": "a", "completion": "x"}, {"prompt": "b", "completion": " broken"}]
                    """, headers: ["Prefer": "wait=3000"])
            let path = try #require(reply.headers["content-location"])
            let lines = try await server.client.get(path, headers: ["Accept": "application/x-ndjson"])
            #expect(lines.headers["content-type"] == "application/x-ndjson")
            let values = try lines.text.split(separator: "\n").map { try JSONReader.read(Array($0.utf8)) }
            #expect(try values == [reply.value("results.0"), reply.value("results.1")])

            let table = try await server.client.get(path, headers: ["Accept": "text/csv"])
            #expect(table.headers["content-type"]?.hasPrefix("text/csv") == true)
            #expect(
                table.text == """
                    query,query_id,rank,id,source,score,nats_per_copy,spurious,text,error\r
                    0,"q,0",1,wiki:Île de France/Paris#2 ?,wiki,2.5,0.00125,false,"Paris is the capital, ""la ville
                    lumière"".",\r
                    1,,,,,,,,,a matrix is not finite\r

                    """)
            try await server.client.get(path, headers: ["Accept": "image/png"]).expectProblem(
                "not-acceptable", status: 406, says: "text/csv")
        }
    }

    @Test("can be cancelled while they wait: no sweep sees them")
    func cancelQueued() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let first = try await server.post("a")
            try await server.sweeps(1)
            let second = try await server.post("b")
            let third = try await server.post("c")
            let reply = try await server.client.send("DELETE", second)
            #expect(reply.status == 200)
            #expect(try reply.string("status") == "cancelled")
            server.engine.release()
            for path in [first, third] { _ = try await server.job(path, until: "succeeded") }
            #expect(server.engine.sweeps == [["a"], ["c"]])
            try await server.client.get(second + "/result").expectProblem("job-cancelled", status: 409)
        }
    }

    @Test("can be cancelled while they run: the sweep goes on for the others")
    func cancelRunning() async throws {
        try await TestServer.run {
            $0.batching.windowMilliseconds = 60_000
            $0.batching.maximumQueries = 2
        } test: { server in
            server.engine.hold()
            let first = try await server.post("a")
            let second = try await server.post("b")
            _ = try await server.job(first, until: "running")
            #expect(try await server.client.send("DELETE", first).string("status") == "cancelled")
            server.engine.release()
            _ = try await server.job(second, until: "succeeded")
            #expect(server.engine.cancelledInSweep == ["a"])
            #expect(try await server.client.get(first).string("status") == "cancelled")
        }
    }

    @Test("end the sweep when all of its jobs are cancelled")
    func cancelAll() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let path = try await server.post("a")
            try await server.sweeps(1)
            #expect(try await server.client.send("DELETE", path).status == 200)
            while server.engine.cancelledInSweep.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            #expect(server.engine.cancelledInSweep == ["a"])
        }
    }

    @Test("may be cancelled twice, but not after they have ended")
    func cancelAgain() async throws {
        try await TestServer.run { server in
            let done = try await server.post("a")
            _ = try await server.job(done, until: "succeeded")
            try await server.client.send("DELETE", done).expectProblem("job-finished", status: 409)
            #expect(try await server.client.get(done).string("status") == "succeeded")
            server.engine.hold()
            let path = try await server.post("b")
            for _ in 1...2 {
                let reply = try await server.client.send("DELETE", path)
                #expect(reply.status == 200)
                #expect(try reply.string("status") == "cancelled")
            }
        }
    }

    @Test("that were cancelled end the wait of whoever waits for them")
    func cancelWaiting() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            async let waiting = server.client.post(
                "/v1/influence", json: "{\"prompt\": \"a\", \"completion\": \"b\"}", headers: ["Prefer": "wait=3000"])
            try await server.sweeps(1)
            let id = try #require(try await server.client.get("/v1/jobs").string("jobs.0.id"))
            _ = try await server.client.send("DELETE", "/v1/jobs/\(id)")
            try await waiting.expectProblem("job-cancelled", status: 409)
        }
    }

    @Test("expire by number")
    func expiry() async throws {
        try await TestServer.run {
            $0.jobs.keepCount = 2
        } test: { server in
            var paths: [String] = []
            for prompt in ["a", "b", "c"] {
                paths.append(try await server.post(prompt))
                _ = try await server.job(paths.last ?? "", until: "succeeded")
            }
            while try await server.client.get(paths[0]).status != 404 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(try await server.client.get(paths[1] + "/result").status == 200)
            #expect(try await server.client.get(paths[2] + "/result").status == 200)
        }
    }
}
