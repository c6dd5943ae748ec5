import Attribution
import Foundation
import JSON
import Logging
import Testing

@testable import InfluenceService

@Suite("The access log", .timeLimit(.minutes(30)))
struct AccessLogTests {
    /// The JSON lines of a server that is asked something, and has stopped.
    private func lines(
        level: Logger.Level = .info, queries: Bool = false, _ body: (TestServer) async throws -> Void
    ) async throws -> [JSONTree] {
        let lines = LogLines()
        try await TestServer.run(logger: lines.logger(format: .json, level: level)) {
            $0.logging.queries = queries
        } test: {
            try await body($0)
        }
        return try lines.all.map { try JSONReader.read(Array($0.utf8)) }
    }

    @Test("has a line a request, with what it was and what came of it")
    func requests() async throws {
        let lines = try await lines { server in
            _ = try await server.client.get("/v1/jobs/nothing?", headers: ["X-Request-Id": "mine"])
        }
        let line = try #require(lines.first { $0["message"] == "request" })
        #expect(Array(line.names.prefix(5)) == ["timestamp", "level", "message", "logger", "request_id"])
        #expect(line["request_id"] == "mine")
        #expect(line["method"] == "GET")
        #expect(line["path"] == "/v1/jobs/nothing")
        #expect(line["route"] == "/v1/jobs/{id}")
        #expect(line["status"] == 404)
        #expect(line["outcome"] == "done")
        for name in ["milliseconds", "sent_bytes", "received_bytes"] {
            guard case .number? = line[name] else {
                Issue.record("\(name) is no number: \(line.text)")
                continue
            }
        }
        #expect(line["remote_address"]?.string?.hasPrefix("127.0.0.1:") == true)
    }

    @Test("shows that a request without a token is refused before its body is read")
    func unread() async throws {
        let lines = LogLines()
        let folder = try TemporaryFolder()
        try TokenFile(folder.url.appending(path: TokenFile.name)).add(AccessToken.create(name: "a", scope: .read).token)
        try await TestServer.run(in: folder, logger: lines.logger(format: .json)) {
            $0.authentication.required = .always
        } test: { server in
            let reply = try await server.client.post("/v1/influence", json: String(repeating: " ", count: 4_000_000))
            try reply.expectProblem("token-missing", status: 401)
        }
        let line = try #require(
            try lines.all.map { try JSONReader.read(Array($0.utf8)) }.first { $0["message"] == "request" })
        #expect(line["status"] == 401 && line["route"] == "/v1/influence" && line["method"] == "POST")
        guard case .number(let received)? = line["received_bytes"] else { throw CancellationError() }
        #expect(Int(received).map { $0 < 100_000 } == true, "\(line.text)")
    }

    @Test("names the job that a request was about, as do the lines of what it has caused")
    func jobs() async throws {
        let lines = try await lines { server in
            let reply = try await server.client.post(
                "/v1/influence", json: "{\"prompt\": \"a\", \"completion\": \"b\"}", headers: ["X-Request-Id": "first"])
            let path = try #require(reply.headers["location"])
            _ = try await server.job(path, until: "succeeded")
        }
        let requests = lines.filter { $0["message"] == "request" }
        let id = try #require(requests.first?["job_id"]?.string)
        #expect(requests.count >= 2)
        #expect(requests.allSatisfy { $0["job_id"]?.string == id })
        let queued = try #require(lines.first { $0["message"] == "job queued" })
        #expect(queued["request_id"] == "first")
        #expect(queued["job_id"]?.string == id)
        let started = try #require(lines.first { $0["message"] == "sweep started" })
        #expect(started["request_id"] == nil)
    }

    @Test("keeps what monitoring asks for those who debug")
    func quiet() async throws {
        for level in [Logger.Level.info, .debug] {
            let lines = try await lines(level: level) { server in
                for path in ["/healthz", "/readyz", "/metrics"] { _ = try await server.client.get(path) }
            }
            #expect(lines.count { $0["message"] == "request" } == (level == .info ? 0 : 3))
        }
    }

    @Test("has what users ask where the configuration wants that, and nowhere else", arguments: [false, true])
    func queries(isWanted: Bool) async throws {
        let lines = try await lines(level: .trace, queries: isWanted) { server in
            let path = try await server.post("secret", completion: " broken")
            _ = try await server.job(path, until: "failed")
            for body in [
                "{\"prompt\": \"secret\"}", "{\"prompt\": \"secret\", \"completion\": \" unusable\"}", "secret",
            ] {
                _ = try await server.client.post("/v1/influence", json: body)
                _ = try await server.client.post("/v1/completions", json: body)
                _ = try await server.client.post("/v1/sequences", json: body)
            }
            let behaviour =
                #"{"measurement": [{"prompt": "secret", "completion": "b"}, {"prompt": "c", "completion": "d"}]}"#
            _ = try await server.client.post("/v1/influence", json: behaviour)
            for path in ["/v1/search?q=secret", "/v1/sequences?source=secret", "/?secret=1", "/metrics?secret"] {
                _ = try await server.client.get(path)
            }
        }
        let telling = lines.filter { $0.text.contains("secret") }
        #expect(telling.allSatisfy { $0["message"] == "query" })
        #expect(telling.count == (isWanted ? 3 : 0))
        #expect(lines.count > 10)
        if let line = telling.first {
            #expect(line["prompt"] == "secret")
            #expect(line["completion"] == " broken")
            #expect(line["job_id"] != nil)
            #expect(line["request_id"] != nil)
            #expect(line["others"] == nil)
            #expect(telling.last?["others"] == "1")
        }
    }
}
