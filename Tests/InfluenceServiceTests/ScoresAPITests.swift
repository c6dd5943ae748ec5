import Attribution
import Foundation
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

    @Test("answers 503 with when to try again where the scores are not there in time, and gives the query up")
    func busy() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let reply = try await server.client.post("/v1/scores", json: body(), headers: ["Prefer": "wait=0"])
            try reply.expectProblem("unavailable", status: 503, says: "try again")
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
            ("\"texts\": []", "texts", "at least one text"),
            ("\"texts\": [{\"id\": \"a\"}]", "texts[0].text", "texts[0].text"),
            ("\"texts\": [\"a\"], \"top_k\": 3", "top_k", "unknown field"),
            ("\"texts\": [\"a\"], \"spans\": [{\"start\": 1, \"end\": 9}]", "spans", "within the completion's 2"),
            ("\"texts\": [\"a\"], \"contrast\": \" b\"", "contrast", "another completion"),
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
