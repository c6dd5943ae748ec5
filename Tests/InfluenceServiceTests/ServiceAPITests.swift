import Attribution
import Foundation
import Testing

@testable import InfluenceService

@Suite("The other calls", .timeLimit(.minutes(30)))
struct ServiceAPITests {
    @Test("find a sequence by its id, whatever characters it has")
    func sequences() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.get("/v1/sequences/wiki%3A%C3%8Ele%20de%20France%2FParis%232%20%3F")
            #expect(reply.status == 200)
            #expect(try JSONDecoder().decode(SequenceDescription.self, from: reply.data) == FakeEngine.sequence)
            try await server.client.get("/v1/sequences/nothing%2Fhere").expectProblem(
                "unknown-sequence", status: 404, says: "\"nothing/here\"")
        }
    }

    @Test("search by words")
    func search() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.get("/v1/search?q=ville%20lumi%C3%A8re&limit=5")
            #expect(reply.status == 200)
            #expect(try reply.string("hits.0.sequence.document_id") == FakeEngine.sequence.documentID)
            #expect(try reply.value("hits.0.score") == .number("7.5"))
            #expect(try await server.client.get("/v1/search?q=nothing").count("hits") == 0)
            for path in ["/v1/search", "/v1/search?q="] {
                try await server.client.get(path).expectProblem("invalid-field", status: 400, field: "q")
            }
            try await server.client.get("/v1/search?q=a&limit=0").expectProblem(
                "invalid-field", status: 400, field: "limit")
            try await server.client.get("/v1/search?q=crash").expectProblem("query-failed", status: 500)
        }
    }

    @Test("let the model continue a prompt")
    func completions() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.post(
                "/v1/completions", json: "{\"prompt\": \"a\", \"max_tokens\": 4, \"seed\": 18446744073709551615}")
            #expect(reply.status == 200)
            #expect(try reply.string("completion") == " seed 18446744073709551615")
            #expect(try reply.string("finish_reason") == "length")
            try await server.client.post("/v1/completions", json: "{\"prompt\": \"\"}").expectProblem(
                "unusable-field", status: 422, field: "prompt")
            try await server.client.post("/v1/completions", json: "{\"prompt\": \"a\", \"temperature\": -1}")
                .expectProblem(
                    "unusable-field", status: 422, field: "temperature")
            try await server.client.post("/v1/completions", json: "{\"prompt\": \"too long\"}").expectProblem(
                "unusable-field", status: 422, field: "prompt", says: "fills the model's context")
        }
    }

    @Test("describe the model")
    func model() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.get("/v1/model")
            #expect(reply.status == 200)
            #expect(try reply.string("architecture") == "llama")
            #expect(try reply.integer("tracked_layers.0.inputs") == 4)
            #expect(try reply.integer("corpus.sequences") == 2_000)
        }
    }

    @Test("tell whether the server is ready, and what it does until it is")
    func readiness() async throws {
        try await TestServer.run(isReady: false) { server in
            server.service.note(starting: "loading the model")
            #expect(try await server.client.get("/healthz").string("status") == "alive")
            var reply = try await server.client.get("/readyz")
            #expect(reply.status == 503)
            #expect(try reply.string("status") == "starting")
            #expect(try reply.string("stage") == "loading the model")
            #expect(try await server.client.get("/v1/jobs").status == 200)
            for path in ["/v1/model", "/v1/search?q=a", "/v1/sequences/a"] {
                try await server.client.get(path).expectProblem("starting", status: 503, says: "loading the model")
            }
            for (path, body) in [
                ("influence", "{\"prompt\": \"a\", \"completion\": \"b\"}"), ("completions", "{\"prompt\": \"a\"}"),
            ] {
                try await server.client.post("/v1/\(path)", json: body).expectProblem("starting", status: 503)
            }
            try await server.service.become(ready: server.engine)
            reply = try await server.client.get("/readyz")
            #expect(reply.status == 200)
            #expect(try reply.string("status") == "ready")
        }
    }

    @Test("tell why the server did not start")
    func failedStart() async throws {
        try await TestServer.run(isReady: false) { server in
            server.service.fail(starting: JobStoreError.diskFull(file: "factors"))
            let reply = try await server.client.get("/readyz")
            #expect(reply.status == 503)
            #expect(try reply.string("reason")?.contains("the disk is full") == true)
            try await server.client.get("/v1/model").expectProblem("start-failed", status: 503)
        }
    }

    @Test("are answered for a while by a server that is stopping, which says so")
    func draining() async throws {
        try await TestServer.run {
            $0.server.drainSeconds = 3_600
        } test: { server in
            let path = try await server.post("a")
            _ = try await server.job(path, until: "succeeded")
            let stopping = Task { await server.service.shutdown(grace: .seconds(600)) }
            while try await server.client.get("/readyz").status == 200 {
                try await Task.sleep(for: .milliseconds(2))
            }
            let reply = try await server.client.get("/readyz")
            #expect(reply.status == 503)
            #expect(try reply.string("status") == "draining")
            #expect(reply.headers["retry-after"] != nil)
            #expect(try await server.client.get("/healthz").string("status") == "alive")
            #expect(try await server.client.get(path + "/result").status == 200)
            #expect(try await server.client.get("/metrics").text.contains("tributary_state{state=\"draining\"} 1"))
            for (call, body) in [
                ("influence", "{\"prompt\": \"a\", \"completion\": \"b\"}"), ("sequences", "{\"text\": \"a\"}"),
            ] {
                try await server.client.post("/v1/\(call)", json: body).expectProblem("stopping", status: 503)
            }
            stopping.cancel()
            await stopping.value
            await #expect(throws: (any Error).self) { try await server.client.get("/healthz") }
        }
    }

    @Test("are listed at the root")
    func landing() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.get("/")
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == "application/json")
            #expect(try reply.count("calls") == 24)
            #expect(try reply.string("calls.0.path") == "/v1/influence")
        }
    }

    @Test("that do not exist are refused, with the methods that do")
    func unknown() async throws {
        try await TestServer.run { server in
            try await server.client.get("/v2/influence").expectProblem("unknown-route", status: 404)
            let reply = try await server.client.get("/v1/influence")
            try reply.expectProblem("method-not-allowed", status: 405)
            #expect(reply.headers["allow"]?.contains("POST") == true)
            try await server.client.send("PUT", "/v1/jobs").expectProblem("method-not-allowed", status: 405)
            try await server.client.get("/v1/model?verbose=1").expectProblem(
                "invalid-field", status: 400, field: "verbose")
        }
    }
}
