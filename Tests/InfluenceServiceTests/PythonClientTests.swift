import Testing

@testable import InfluenceService

@Suite("The client for Python", .timeLimit(.minutes(30)))
struct PythonClientTests {
    @Test("is given to everyone, and not again to those who have it")
    func serving() async throws {
        try await TestServer.run { server in
            let reply = try await server.client.get("/client.py")
            #expect(reply.status == 200)
            #expect(reply.headers["content-type"] == "text/x-python; charset=utf-8")
            #expect(reply.headers["x-content-type-options"] == "nosniff")
            #expect(Array(reply.data) == (try PythonClient.installed().source))
            #expect(reply.text.contains("class Tributary:"))
            let tag = try #require(reply.headers["etag"])
            let known = try await server.client.get("/client.py", headers: ["If-None-Match": tag])
            #expect(known.status == 304 && known.data.isEmpty)
        }
    }

    @Test("calls nothing that the API does not have")
    func calls() async throws {
        let source = String(decoding: try PythonClient.installed().source, as: UTF8.self)
        try await TestServer.run { server in
            let description = try await server.client.get("/openapi.json").text
            let paths = source.matches(of: /"(\/v1\/[a-z]+)/).map { String($0.1) }
            #expect(paths.count >= 7)
            for path in paths { #expect(description.contains("\"\(path)"), "\(path)") }
        }
    }
}
