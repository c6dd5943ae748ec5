import Foundation
import HTTP
import Logging
import Testing

@testable import InfluenceService

@Suite("Authentication", .timeLimit(.minutes(30)))
struct AuthenticationTests {
    private static let query = "{\"prompt\": \"The capital of France is\", \"completion\": \" Paris\"}"

    private let folder: TemporaryFolder
    private let file: TokenFile

    init() throws {
        folder = try TemporaryFolder()
        file = TokenFile(folder.url.appending(path: TokenFile.name))
    }

    /// Adds a token, and gives the header that bears it.
    private func add(
        _ scope: Scope, expires: Date? = nil, requestsPerMinute: Int? = nil, queuedQueries: Int? = nil
    ) throws -> [String: String] {
        let (token, text) = AccessToken.create(
            name: scope.rawValue, scope: scope, expires: expires, requestsPerMinute: requestsPerMinute,
            queuedQueries: queuedQueries)
        try file.add(token)
        return ["Authorization": "Bearer \(text)"]
    }

    private func run(_ test: (TestServer) async throws -> Void) async throws {
        try await TestServer.run(in: folder, { $0.authentication.required = .always }, test: test)
    }

    @Test("is not needed on a loopback address, where a token that is given must still be right")
    func loopback() async throws {
        try await TestServer.run(in: folder) { server in
            #expect(try await server.client.get("/v1/jobs").status == 200)
            let reply = try await server.client.get("/v1/jobs", headers: ["Authorization": "Bearer trb_x_y"])
            try reply.expectProblem("token-invalid", status: 401, says: "revoked")
        }
    }

    @Test("opens only health, readiness and the landing page to those without a token")
    func withoutToken() async throws {
        _ = try add(.admin)
        try await run { server in
            for path in ["/healthz", "/readyz", "/"] { #expect(try await server.client.get(path).status == 200) }
            for path in ["/v1/jobs", "/v1/model", "/v1/search?q=a"] {
                let reply = try await server.client.get(path)
                try reply.expectProblem("token-missing", status: 401, says: "Authorization: Bearer")
                // RFC 6750 section 3: at least one parameter.
                #expect(reply.headers["www-authenticate"] == "Bearer realm=\"tributary\"")
            }
            try await server.client.post("/v1/influence", json: Self.query).expectProblem("token-missing", status: 401)
        }
    }

    @Test(
        "refuses what is not one of its tokens",
        arguments: [
            "Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Bearer nonsense", "Bearer trb_0000000000_secret",
            "Bearer trb__",
            "Bearer a b",
        ])
    func wrongTokens(field: String) async throws {
        _ = try add(.admin)
        try await run { server in
            let reply = try await server.client.get("/v1/jobs", headers: ["Authorization": field])
            try reply.expectProblem("token-invalid", status: 401)
            let challenge = try #require(reply.headers["www-authenticate"])
            #expect(challenge.hasPrefix("Bearer realm=\"tributary\", error=\"invalid_"))
        }
    }

    @Test("lets each scope do what it includes, and no more")
    func scopes() async throws {
        let read = try add(.read)
        let query = try add(.query)
        let admin = try add(.admin)
        try await run { server in
            for headers in [read, query, admin] {
                #expect(try await server.client.get("/v1/jobs", headers: headers).status == 200)
            }
            let refused = try await server.client.post("/v1/influence", json: Self.query, headers: read)
            try refused.expectProblem("scope-too-small", status: 403, says: "\"query\"")
            #expect(
                refused.headers["www-authenticate"]
                    == "Bearer realm=\"tributary\", error=\"insufficient_scope\", scope=\"query\"")
            for headers in [query, admin] {
                #expect(try await server.client.post("/v1/influence", json: Self.query, headers: headers).status == 202)
            }
        }
    }

    @Test("takes up new and revoked tokens while it runs")
    func changes() async throws {
        _ = try add(.admin)
        try await run { server in
            let headers = try add(.read)
            #expect(try await server.client.get("/v1/jobs", headers: headers).status == 200)
            try file.revoke("read")
            try await server.client.get("/v1/jobs", headers: headers).expectProblem("token-invalid", status: 401)
            // A file that is spoilt takes nobody's token away.
            let admin = try add(.admin)
            #expect(try await server.client.get("/v1/jobs", headers: admin).status == 200)
            try Data("spoilt".utf8).write(to: file.url)
            #expect(try await server.client.get("/v1/jobs", headers: admin).status == 200)
        }
    }

    @Test("refuses a token that has expired")
    func expiry() async throws {
        let headers = try add(.read, expires: Date(timeIntervalSinceNow: -1))
        let valid = try add(.read, expires: Date(timeIntervalSinceNow: 86_400))
        try await run { server in
            try await server.client.get("/v1/jobs", headers: headers).expectProblem("token-expired", status: 401)
            #expect(try await server.client.get("/v1/jobs", headers: valid).status == 200)
        }
    }

    @Test("holds each token to its own number of requests a minute")
    func requestLimit() async throws {
        let limited = try add(.read, requestsPerMinute: 2)
        let other = try add(.read)
        try await run { server in
            for _ in 0..<2 { #expect(try await server.client.get("/v1/jobs", headers: limited).status == 200) }
            let reply = try await server.client.get("/v1/jobs", headers: limited)
            try reply.expectProblem("too-many-requests", status: 429, says: "2 requests per minute")
            #expect(reply.headers["retry-after"].flatMap { Int($0) }.map { $0 > 0 } == true)
            #expect(try await server.client.get("/v1/jobs", headers: other).status == 200)
        }
    }

    @Test(
        "is needed on every address but the loopback ones",
        arguments: [
            ("127.0.0.1", true), ("127.1.2.3", true), ("::1", true), ("localhost", true), ("0:0:0:0:0:0:0:1", true),
            ("0.0.0.0", false), ("::", false), ("192.168.1.2", false), ("128.0.0.1", false), ("fe80::1", false),
            ("example.org", false), ("localhost.example.org", false), ("127.0.0.1.example.org", false),
        ])
    func addresses(host: String, isLoopback: Bool) {
        var server = Configuration.Server()
        server.host = host
        #expect(server.isLoopback == isLoopback)
    }

    @Test("keeps a server from starting where tokens are needed and there are none")
    func noTokens() throws {
        var configuration = Configuration()
        configuration.server.port = 0
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        configuration.authentication.required = .always
        let error = #expect(throws: AuthenticationError.self) {
            try Service(configuration: configuration, workspace: folder.url, logger: logger)
        }
        #expect(error?.description.contains("tributary token create") == true)
        configuration.authentication.required = .auto
        configuration.server.host = "0.0.0.0"
        #expect(throws: AuthenticationError.noTokens(host: "0.0.0.0", file: file.url.path)) {
            try Service(configuration: configuration, workspace: folder.url, logger: logger)
        }
        configuration.authentication.required = .never
        _ = try Service(configuration: configuration, workspace: folder.url, logger: logger)
    }
}
