import Attribution
import Foundation
import Testing

@testable import InfluenceService

@Suite("POST /v1/influence", .timeLimit(.minutes(30)))
struct InfluenceAPITests {
    private let query = "{\"prompt\": \"The capital of France is\", \"completion\": \" Paris\"}"

    @Test("answers 202 with the job and where to find it")
    func accepted() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let reply = try await server.client.post("/v1/influence", json: query)
            #expect(reply.status == 202)
            let id = try #require(try reply.string("id"))
            #expect(reply.headers["location"] == "/v1/jobs/\(id)")
            #expect(try reply.string("status") == "queued")
            #expect(try reply.integer("queries") == 1)
        }
    }

    @Test("answers 200 with the result if it is there within the preferred wait")
    func waitMet() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post("/v1/influence", json: query, headers: ["Prefer": "wait=3000"])
            #expect(reply.status == 200)
            #expect(reply.headers["preference-applied"] == "wait=3000")
            #expect(try reply.string("query.prompt") == "The capital of France is")
            #expect(try reply.string("sequences.0.id") == FakeEngine.sequence.id)
            #expect(try reply.value("sequences.0.score") == .number("2.5"))
            let location = try #require(reply.headers["content-location"])
            #expect(try await server.client.get(location).data == reply.data)
            let table = try await server.client.post(
                "/v1/influence", json: query, headers: ["Prefer": "wait=3000", "Accept": "text/csv"])
            #expect(table.text.hasPrefix("query,query_id,rank,"))
        }
    }

    @Test("answers 202 if the preferred wait is over first, and grants no more than is configured")
    func waitOver() async throws {
        try await TestServer.run {
            $0.jobs.maximumWaitSeconds = 0
        } test: { server in
            server.engine.hold()
            let reply = try await server.client.post("/v1/influence", json: query, headers: ["Prefer": "wait=3000"])
            #expect(reply.status == 202)
            #expect(reply.headers["preference-applied"] == "wait=0")
            #expect(reply.headers["location"]?.hasPrefix("/v1/jobs/") == true)
        }
    }

    @Test("answers with the problem if the query fails within the preferred wait")
    func waitFailed() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post(
                "/v1/influence", json: "{\"prompt\": \"a\", \"completion\": \" broken\"}",
                headers: ["Prefer": "wait=3000"])
            try reply.expectProblem("query-failed", status: 500, says: "a matrix is not finite")
        }
    }

    @Test("puts a failed query of a list in its own entry, and answers the others")
    func lists() async throws {
        try await TestServer.run { server in
            let body = """
                [{"id": "q0", "prompt": "a", "completion": " x"}, {"id": "q1", "prompt": "b", "completion": " unusable"},
                 {"prompt": "c", "completion": " broken"}, {"prompt": "d", "completion": " y"}]
                """
            let reply = try await server.client.post("/v1/influence", json: body, headers: ["Prefer": "wait=3000"])
            #expect(reply.status == 200)
            #expect(try reply.count("results") == 4)
            #expect(try reply.string("results.0.query.id") == "q0")
            #expect(try reply.string("results.1.query.id") == "q1")
            #expect(try reply.string("results.1.error.type") == "/problems/unusable-field")
            #expect(try reply.string("results.1.error.field") == "completion")
            #expect(try reply.string("results.2.error.type") == "/problems/query-failed")
            #expect(try reply.string("results.3.query.prompt") == "d")
            #expect(server.engine.sweeps == [["a", "b", "c", "d"]])

            let path = try #require(reply.headers["content-location"]).replacing("/result", with: "")
            let job = try await server.client.get(path)
            #expect(try job.string("status") == "succeeded")
            #expect(try job.integer("failed_queries") == 2)
            let single = try await server.client.post(
                "/v1/influence", json: "[\(query)]", headers: ["Prefer": "wait=3000"])
            #expect(try single.count("results") == 1)
        }
    }

    @Test("keeps the texts that a query brings along with its job")
    func texts() async throws {
        try await TestServer.run { server in
            let body = "{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"texts\": [\"c\", \"d\"]}}"
            let reply = try await server.client.post("/v1/influence", json: body)
            #expect(reply.status == 202)
            let job = try await server.client.get(try #require(reply.headers["location"]))
            #expect(try job.string("request.candidates.texts.1") == "d")
        }
    }

    @Test(
        "refuses more texts, or longer ones, than is configured, and texts beside sequences of the corpus",
        arguments: [
            ("\"texts\": [\"a\", \"b\", \"c\"]", "candidates.texts", "at most 2 texts, found 3"),
            ("\"texts\": [\"a\", \"éé\"]", "candidates.texts[1]", "at most 3 bytes, found 4"),
            ("\"texts\": []", "candidates.texts", "at least one"),
            ("\"texts\": [\"a\"], \"ids\": [\"b\"]", "candidates.texts", "leave out ids and source"),
            ("\"texts\": [\"a\"], \"source\": \"b\"", "candidates.texts", "leave out ids and source"),
        ])
    func textLimits(members: String, field: String, words: String) async throws {
        try await TestServer.run {
            $0.query.maximumTexts = 2
            $0.query.maximumTextBytes = 3
        } test: { server in
            let body = "{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\(members)}}"
            try await server.client.post("/v1/influence", json: body).expectProblem(
                "unusable-field", status: 422, field: field, says: words)
            try await server.client.post("/v1/influence", json: "[\(query), \(body)]").expectProblem(
                "unusable-field", status: 422, field: "[1].\(field)", says: words)
        }
    }

    @Test("fills in what a query leaves open from the configuration")
    func defaults() async throws {
        try await TestServer.run {
            $0.query.topK = 3
            $0.query.candidateLimit = 44
            $0.query.rank = 5
            $0.query.rescore = 6
        } test: { server in
            let body = """
                [\(query), {"prompt": "a", "completion": "b", "top_k": null, "rank": "full", "candidates": {"source": "s"}},
                 {"prompt": "a", "completion": "b", "top_k": 9, "rescore": 0, "candidates": {"limit": 7}}]
                """
            let reply = try await server.client.post("/v1/influence", json: body)
            let job = try await server.client.get(try #require(reply.headers["location"]))
            #expect(try job.integer("request.0.top_k") == 3)
            #expect(try job.integer("request.0.rank") == 5)
            #expect(try job.integer("request.0.rescore") == 6)
            #expect(try job.integer("request.0.candidates.limit") == 44)
            #expect(try job.integer("request.1.top_k") == 3)
            #expect(try job.string("request.1.rank") == "full")
            #expect(try job.integer("request.1.candidates.limit") == 44)
            #expect(try job.string("request.1.candidates.source") == "s")
            #expect(try job.integer("request.2.top_k") == 9)
            #expect(try job.integer("request.2.rescore") == 0)
            #expect(try job.integer("request.2.candidates.limit") == 7)
        }
    }

    @Test(
        "refuses a query that is wrong in form by the path of its field",
        arguments: [
            ("{\"prompt\": 7, \"completion\": \"b\"}", "prompt", "expected a string, found 7"),
            ("{\"prompt\": \"\", \"completion\": \"b\"}", "prompt", "expected at least one character"),
            ("{\"prompt\": \"a\", \"completion\": \"\"}", "completion", "expected at least one character"),
            ("{\"prompt\": \"a\"}", "completion", "missing"),
            (
                "{\"prompt\": \"a\", \"completion\": \"b\", \"topk\": 3}", "topk",
                "unknown field; the known fields are id, prompt"
            ),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"top_k\": 1.5}", "top_k", "found 1.5"),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"top_k\": 0}", "top_k", "from 1 to 10000"),
            (
                "{\"prompt\": \"a\", \"completion\": \"b\", \"direction\": \"up\"}", "direction",
                "one of \"positive\", \"negative\""
            ),
            (
                "{\"prompt\": \"a\", \"completion\": \"b\", \"estimator\": \"hessian\"}", "estimator",
                "one of \"ekfac\", \"astra\", \"identity\""
            ),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"rank\": \"half\"}", "rank", "full"),
            (
                "{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": 3}", "candidates",
                "expected an object, found 3"
            ),
            (
                "{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"limit\": \"9\"}}", "candidates.limit",
                "found a string"
            ),
            (
                "{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"ids\": [\"a\", 2]}}",
                "candidates.ids[1]", "found 2"
            ),
            (
                "[{\"prompt\": \"a\", \"completion\": \"b\"}, {\"prompt\": \"\", \"completion\": \"b\"}]", "[1].prompt",
                "prompt"
            ),
            ("[{\"prompt\": \"a\", \"completion\": \"b\"}, 3]", "[1]", "expected an object, found 3"),
            ("[]", nil, "found 0"), ("\"Paris\"", nil, "expected an object, found a string"),
            ("null", nil, "found null"),
            ("[1, 2, 3]", nil, "at most 2 queries"),
        ])
    func wrongForm(body: String, field: String?, words: String) async throws {
        try await TestServer.run {
            $0.jobs.maximumQueriesPerRequest = 2
        } test: { server in
            let reply = try await server.client.post("/v1/influence", json: body)
            try reply.expectProblem("unusable-field", status: 422, field: field, says: words)
            #expect(try await server.client.get("/v1/jobs").count("jobs") == 0)
        }
    }

    @Test("refuses a single query that the engine cannot answer, by its field")
    func unusable() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post(
                "/v1/influence", json: "{\"prompt\": \"a\", \"completion\": \" unusable\"}")
            try reply.expectProblem(
                "unusable-field", status: 422, field: "completion", says: "the model's context is 8")
            #expect(server.engine.sweeps.isEmpty)
        }
    }

    @Test("refuses malformed JSON with line and column")
    func malformed() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post("/v1/influence", json: "{\"prompt\": \"a\",\n \"completion\": b}")
            try reply.expectProblem(
                "malformed-json", status: 400, says: "line 2, column 16: expected a value, found 'b'")
            try await server.client.post("/v1/influence", json: "").expectProblem(
                "malformed-json", status: 400, says: "the end of the text")
        }
    }

    @Test("refuses a body that is not said to be JSON, or is compressed")
    func mediaType() async throws {
        try await TestServer.run { server in
            for type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
                let reply = try await server.client.post("/v1/influence", json: query, headers: ["Content-Type": type])
                try reply.expectProblem("unsupported-media-type", status: 415, says: type)
            }
            try await server.client.post("/v1/influence", json: query, headers: ["Content-Encoding": "gzip"])
                .expectProblem("unsupported-media-type", status: 415, says: "gzip")
            let reply = try await server.client.post(
                "/v1/influence", json: query, headers: ["Content-Type": "Application/JSON; charset=utf-8"])
            #expect(reply.status == 202)
        }
    }

    @Test("refuses a body over the limit")
    func tooLarge() async throws {
        try await TestServer.run {
            $0.server.maximumBodyBytes = 1_024
        } test: { server in
            let long = "{\"prompt\": \"\(String(repeating: "a", count: 2_000))\", \"completion\": \"b\"}"
            try await server.client.post("/v1/influence", json: long).expectProblem("body-too-large", status: 413)
            #expect(try await server.client.post("/v1/influence", json: query).status == 202)
        }
    }

    @Test("refuses more bytes than may wait, and takes them again when there is room")
    func memoryFull() async throws {
        try await TestServer.run {
            $0.jobs.maximumQueuedBytes = 65_536
        } test: { server in
            server.engine.hold()
            func body(_ bytes: Int) -> String {
                "{\"prompt\": \"\(String(repeating: "i", count: bytes))\", \"completion\": \" b\"}"
            }
            let first = try await server.client.post("/v1/influence", json: body(30_000))
            #expect(first.status == 202)
            let second = try await server.client.post("/v1/influence", json: body(30_000))
            try second.expectProblem("queue-full", status: 503, says: "65536")
            #expect(second.headers["retry-after"] != nil)
            let scores =
                "{\"prompt\": \"a\", \"completion\": \" b\", \"texts\": [\"\(String(repeating: "t", count: 30_000))\"]}"
            try await server.client.post("/v1/scores", json: scores).expectProblem("queue-full", status: 503)
            try await server.client.post("/v1/influence", json: body(70_000))
                .expectProblem("body-too-large", status: 413, says: "65536")
            let path = try #require(first.headers["location"])
            #expect(try await server.client.send("DELETE", path).status == 200)
            #expect(try await server.client.post("/v1/influence", json: body(30_000)).status == 202)
        }
    }

    @Test("refuses a query that has more candidates than a sweep holds scores, by the member that says how many")
    func tooManyScores() async throws {
        try await TestServer.run {
            $0.batching.maximumScores = 1_000
            $0.query.maximumTexts = 5_000
        } test: { server in
            func body(_ candidates: String) -> String {
                "{\"prompt\": \"a\", \"completion\": \" b\", \"candidates\": \(candidates)}"
            }
            #expect(try await server.client.post("/v1/influence", json: body("{\"limit\": 1000}")).status == 202)
            for (candidates, field) in [
                ("{\"limit\": 1001}", "candidates.limit"), ("{\"prefilter\": \"all\"}", "candidates.prefilter"),
                ("{\"limit\": 999, \"probe\": 2}", "candidates.limit"),
                ("{\"texts\": [\(String(repeating: "\"a\",", count: 1_000))\"a\"]}", "candidates.texts"),
            ] {
                try await server.client.post("/v1/influence", json: body(candidates))
                    .expectProblem("unusable-field", status: 422, field: field, says: "at most 1000")
            }
            try await server.client.post("/v1/influence", json: "[\(query), \(body("{\"limit\": 2000}"))]")
                .expectProblem("unusable-field", status: 422, field: "[1].candidates.limit", says: "at most 1000")
        }
    }

    @Test("refuses a query whose result would take more memory than all that are sent, by the member that asks for it")
    func tooLargeResult() async throws {
        try await TestServer.run {
            $0.jobs.maximumResponseBytesInFlight = 1_048_576
        } test: { server in
            let large = "{\"prompt\": \"a\", \"completion\": \" b\", \"top_k\": 1000}"
            try await server.client.post("/v1/influence", json: large)
                .expectProblem("unusable-field", status: 422, field: "top_k", says: "maximum_response_bytes_in_flight")
        }
    }

    @Test("refuses more queries than may wait, and takes them again when there is room")
    func queueFull() async throws {
        try await TestServer.run {
            $0.jobs.maximumQueuedQueries = 2
        } test: { server in
            server.engine.hold()
            let first = try await server.post("a")
            _ = try await server.post("b")
            let reply = try await server.client.post("/v1/influence", json: query)
            try reply.expectProblem("queue-full", status: 503)
            #expect(reply.headers["retry-after"] != nil)
            #expect(try await server.client.send("DELETE", first).status == 200)
            _ = try await server.post("c")
        }
    }
}
