import Attribution
import Foundation
import Testing

@testable import InfluenceService

@Suite("Idempotency-Key", .timeLimit(.minutes(30)))
struct IdempotencyTests {
    private let body = "{\"prompt\": \"a\", \"completion\": \" b\"}"

    private func post(
        _ server: TestServer, key: String, _ body: String? = nil, headers: [String: String] = [:]
    ) async throws -> Reply {
        try await server.client.post(
            "/v1/influence", json: body ?? self.body,
            headers: headers.merging(["Idempotency-Key": key]) { $1 })
    }

    @Test("gives the same job for the same request, however it is spelt, and says so")
    func replay() async throws {
        try await TestServer.run { server in
            let first = try await post(server, key: "k-1")
            #expect(first.status == 202 && first.headers["idempotent-replayed"] == nil)
            for (key, body) in [
                ("k-1", body), ("\"k-1\"", "{ \"completion\": \" b\",\n \"prompt\": \"a\"}"),
            ] {
                let again = try await post(server, key: key, body)
                #expect(again.status == 202)
                #expect(again.headers["location"] == first.headers["location"])
                #expect(again.headers["idempotent-replayed"] == "true")
            }
            let path = try #require(first.headers["location"])
            _ = try await server.job(path, until: "succeeded")
            let waited = try await post(server, key: "k-1", headers: ["Prefer": "wait=3000"])
            #expect(waited.status == 200 && waited.headers["content-location"] == path + "/result")
            #expect(waited.headers["idempotent-replayed"] == "true")
            #expect(server.engine.sweeps == [["a"]])
            // Without a key, or with another, it is another request.
            _ = try await post(server, key: "k-2")
            _ = try await server.post("a")
            #expect(try await server.client.get("/v1/jobs").count("jobs") == 3)
        }
    }

    @Test("of one request is refused for another")
    func reuse() async throws {
        try await TestServer.run { server in
            _ = try await post(server, key: "k")
            for other in [
                "{\"prompt\": \"a\", \"completion\": \" c\"}", "[\(body)]",
                "{\"prompt\": \"a\", \"completion\": \" b\", \"top_k\": 3}",
            ] {
                try await post(server, key: "k", other).expectProblem(
                    "idempotency-key-reused", status: 422, field: "Idempotency-Key", says: "of its own")
            }
        }
    }

    @Test("is refused where it is none", arguments: ["", "a b", String(repeating: "k", count: 256), "\"\""])
    func malformed(key: String) async throws {
        try await TestServer.run { server in
            // URLSession sends no field with an empty value on some systems: two quotes are as empty.
            try await post(server, key: key.isEmpty ? "\"\"" : key).expectProblem(
                "invalid-field", status: 400, field: "Idempotency-Key", says: "255")
        }
    }

    @Test("makes one job of many requests at the same time")
    func concurrency() async throws {
        try await TestServer.run { server in
            let paths = try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<24 { group.addTask { try await post(server, key: "k").headers["location"] } }
                return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
            }
            #expect(paths.count == 1)
            let path = try #require(paths.first ?? nil)
            _ = try await server.job(path, until: "succeeded")
            #expect(server.engine.sweeps == [["a"]])
        }
    }

    @Test("is known to the next process, also before that can answer queries, and while the queue is full")
    func restart() async throws {
        let folder = try TemporaryFolder()
        var path: String?
        try await TestServer.run(in: folder) { path = try await post($0, key: "k").headers["location"] }
        try await TestServer.run(in: folder, isReady: false) { server in
            let again = try await post(server, key: "k")
            #expect(again.status == 202 || again.status == 200)
            #expect(again.headers["location"] == path)
        }
        try await TestServer.run(in: folder) {
            $0.jobs.maximumQueuedQueries = 1
        } test: { server in
            server.engine.hold()
            _ = try await server.post("z")
            try await post(server, key: "other").expectProblem("queue-full", status: 503)
            #expect(try await post(server, key: "k").headers["location"] == path)
        }
    }

    @Test("is its owner's: others may think of the same, with a token, with another, and without one")
    func owners() async throws {
        let folder = try TemporaryFolder()
        let file = TokenFile(folder.url.appending(path: TokenFile.name))
        let tokens = try (0..<2).map { number in
            let (token, text) = AccessToken.create(name: "\(number)", scope: .query)
            try file.add(token)
            return (id: token.id, header: ["Authorization": "Bearer \(text)"])
        }
        try await TestServer.run(in: folder) { server in
            let other = "{\"prompt\": \"b\", \"completion\": \" b\"}"
            let own = try await post(server, key: "k", headers: tokens[0].header)
            for (key, headers) in [
                ("k", tokens[1].header), ("k", [:]), ("\(tokens[0].id)/k", [:]), ("\(tokens[1].id)/k", [:]),
            ] {
                let reply = try await post(server, key: key, other, headers: headers)
                #expect(reply.status == 202 && reply.headers["idempotent-replayed"] == nil)
            }
            let again = try await post(server, key: "k", headers: tokens[0].header)
            #expect(again.headers["location"] == own.headers["location"])
        }
    }

    @Test("goes with its job")
    func expiry() async throws {
        let folder = try TemporaryFolder()
        let store = try JobStore(file: folder.url.appending(path: "jobs.sqlite"))
        let key = IdempotencyKey(text: "k", requestDigest: Data([1]))
        let query = InfluenceQuery(prompt: "a", completion: "x")
        let first = try await store.add([query], isList: false, key: key)
        #expect(try await store.add([query], isList: false, key: key).job.id == first.job.id)
        _ = try await store.cancel(first.job.id)
        try await store.expire(keepCount: 0, endedBefore: .distantPast)
        #expect(try await store.job(for: key) == nil)
        #expect(try await store.add([query], isList: false, key: key).isReplay == false)
    }
}
