import Foundation
import JSON
import Testing

@testable import InfluenceService

@Suite("What a request says of itself", .timeLimit(.minutes(30)))
struct ProtocolTests {
    private static let query = "{\"prompt\": \"a\", \"completion\": \"b\"}"

    @Test("of its body's type and coding is refused with what is taken instead, before the body is looked at")
    func forms() async throws {
        try await TestServer.run { server in
            for (path, types) in [
                ("/v1/influence", "application/json"), ("/v1/scores", "application/json"),
                ("/v1/completions", "application/json"),
                ("/v1/sequences", "application/json, application/x-ndjson, application/jsonl"),
            ] {
                // The second has a Greek question mark, which is canonically equivalent to a semicolon.
                for type in ["text/plain", "application/json\u{37E}a", ""] {
                    let reply = try await server.client.send(
                        "POST", path, headers: ["Content-Type": type], body: Data("nothing".utf8))
                    try reply.expectProblem("unsupported-media-type", status: 415)
                    #expect(reply.headers["accept"] == types && reply.headers["accept-encoding"] == nil)
                }
                let codings = path == "/v1/sequences" ? "gzip, identity" : "identity"
                for coding in ["br", "gzip, gzip"] + (path == "/v1/sequences" ? [] : ["gzip"]) {
                    let reply = try await server.client.post(
                        path, json: "nothing", headers: ["Content-Encoding": coding])
                    try reply.expectProblem("unsupported-media-type", status: 415, says: "\"\(coding)\"")
                    #expect(reply.headers["accept-encoding"] == codings && reply.headers["accept"] == nil)
                }
            }
        }
    }

    @Test(
        "twice in a query item is refused by the item's name",
        arguments: [("q=x&limit=1&limit=1", "limit"), ("q=x&limit=1&q=a&limit=2", "q"), ("q=x&q=x", "q")])
    func repeated(query: String, field: String) async throws {
        try await TestServer.run { server in
            let reply = try await server.client.get("/v1/search?" + query)
            try reply.expectProblem("invalid-field", status: 400, field: field, says: "twice")
        }
    }

    @Test("of the state that it wants a resource in is held to, where there are entity tags and where there are none")
    func preconditions() async throws {
        try await TestServer.run { server in
            let path = try await server.post("a")
            _ = try await server.job(path, until: "succeeded")
            let result = try await server.client.get(path + "/result")
            let tag = try #require(result.headers["etag"])
            for (path, condition, status) in [
                (path + "/result", tag, 200), (path + "/result", "*", 200), (path + "/result", "\"other\"", 412),
                (path, "*", 200), (path, tag, 412), ("/v1/jobs/nothing", "\"other\"", 404), ("/none", "\"other\"", 404),
                ("/v1/model?x=1", "\"other\"", 400),
            ] {
                let reply = try await server.client.get(path, headers: ["If-Match": condition])
                #expect(reply.status == status, "\(path) \(condition) \(reply.text)")
                if status == 412 { try reply.expectProblem("precondition-failed", status: 412) }
            }
            // 13.2.2: If-Match comes first.
            let both = ["If-Match": "\"other\"", "If-None-Match": tag]
            #expect(try await server.client.get(path + "/result", headers: both).status == 412)
        }
    }

    @Test("of the state that it wants a resource in keeps it from doing anything otherwise")
    func unsafeMethods() async throws {
        try await TestServer.run { server in
            server.engine.hold()
            let path = try await server.post("a")
            for condition in [["If-Match": "\"other\""], ["If-None-Match": "*"]] {
                let reply = try await server.client.send("DELETE", path, headers: condition)
                try reply.expectProblem("precondition-failed", status: 412)
                let added = try await server.client.post("/v1/sequences", json: "{\"text\": \"a\"}", headers: condition)
                try added.expectProblem("precondition-failed", status: 412)
            }
            #expect(server.engine.uploads.isEmpty)
            let posted = try await server.client.post("/v1/influence", json: Self.query, headers: ["If-Match": "*"])
            try posted.expectProblem("precondition-failed", status: 412)
            #expect(try await server.client.get("/v1/jobs").count("jobs") == 1)
            let unknown = try await server.client.send("DELETE", "/v1/jobs/none", headers: ["If-Match": "\"other\""])
            try unknown.expectProblem("unknown-job", status: 404)
            let cancelled = try await server.client.send("DELETE", path, headers: ["If-Match": "*"])
            #expect(try cancelled.string("status") == "cancelled")
            let new = try await server.client.post("/v1/influence", json: Self.query, headers: ["If-None-Match": "*"])
            #expect(new.status == 202)
        }
    }
}
