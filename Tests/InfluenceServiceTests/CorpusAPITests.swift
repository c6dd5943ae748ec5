import Attribution
import Foundation
import Testing

@testable import InfluenceService

@Suite("Calls about the corpus", .timeLimit(.minutes(30)))
struct CorpusAPITests {
    private func post(
        _ body: String, as type: String = "application/x-ndjson", to server: TestServer,
        headers: [String: String] = [:]
    ) async throws -> Reply {
        try await server.client.send(
            "POST", "/v1/sequences", headers: headers.merging(["Content-Type": type]) { $1 }, body: Data(body.utf8))
    }

    @Test("add documents, one or a line each")
    func add() async throws {
        try await TestServer.run { server in
            let lines = try await post("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", to: server)
            #expect(lines.status == 200)
            #expect(try lines.integer("added") == 2)
            #expect(try lines.integer("sequences") == 2)
            #expect(try lines.integer("corpus.sequences") == 2_000)
            let one = try await post("{\n\"text\": \"a\"\n}", as: "application/json; charset=utf-8", to: server)
            #expect(try one.integer("added") == 1)
            #expect(server.engine.uploads.map(\.form) == [.lines, .object])
            #expect(server.engine.uploads.map(\.maximumRecords) == [10_000, 10_000])
        }
    }

    @Test("take compressed bodies")
    func compressed() async throws {
        try await TestServer.run {
            $0.ingestion.maximumBytes = 4_000
        } test: { server in
            let body = try #require(
                Data(base64Encoded: "H4sIAAAAAAACA+3FIREAQAgAMP8xaPCWNuTg6E4MzGbWUZF/Xtu2bdu27bMX1mRFzKAPAAA="))
            for (coding, data) in [("gzip", body), ("GZIP", body), ("gzip", body.dropLast(9)), ("br", body)] {
                let reply = try await server.client.send(
                    "POST", "/v1/sequences",
                    headers: ["Content-Type": "application/x-ndjson", "Content-Encoding": coding], body: data)
                switch (coding, data.count) {
                case ("br", _): try reply.expectProblem("unsupported-media-type", status: 415, says: "\"br\"")
                case (_, body.count): #expect(try reply.integer("added") == 500)
                default: try reply.expectProblem("malformed-compression", status: 400, says: "incomplete")
                }
            }
            #expect(server.engine.uploads.map(\.body.count) == [4_000, 4_000])
            try await post("plain", to: server, headers: ["Content-Encoding": "gzip"]).expectProblem(
                "malformed-compression", status: 400)
        }
    }

    @Test("count what they decompress among the bodies of all requests")
    func decompressedInFlight() async throws {
        try await TestServer.run {
            $0.server.maximumBodyBytesInFlight = 3_000
        } test: { server in
            let body = try #require(
                Data(base64Encoded: "H4sIAAAAAAACA+3FIREAQAgAMP8xaPCWNuTg6E4MzGbWUZF/Xtu2bdu27bMX1mRFzKAPAAA="))
            for _ in 0..<3 {
                let reply = try await server.client.send(
                    "POST", "/v1/sequences",
                    headers: ["Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"], body: body)
                try reply.expectProblem("unavailable", status: 503)
            }
            #expect(server.engine.uploads.isEmpty)
            let small = try await post("{\"text\": \"a\"}\n", to: server)
            #expect(small.status == 200, "what was counted is given back: \(small.text)")
        }
    }

    @Test("refuse what grows too large once it is decompressed")
    func tooLarge() async throws {
        try await TestServer.run {
            $0.ingestion.maximumBytes = 3_999
            $0.ingestion.maximumRecords = 7
        } test: { server in
            let body = try #require(
                Data(base64Encoded: "H4sIAAAAAAACA+3FIREAQAgAMP8xaPCWNuTg6E4MzGbWUZF/Xtu2bdu27bMX1mRFzKAPAAA="))
            let reply = try await server.client.send(
                "POST", "/v1/sequences",
                headers: ["Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"], body: body)
            try reply.expectProblem("body-too-large", status: 413, says: "3999 bytes")
            try await post(String(repeating: " ", count: 4_000), to: server).expectProblem(
                "body-too-large", status: 413)
            #expect(server.engine.uploads.isEmpty)
            try await post("{\"text\": \"many\"}", to: server).expectProblem(
                "too-many-records", status: 413, says: "more than 7 records")
        }
    }

    @Test("say which line and field is at fault")
    func mistakes() async throws {
        try await TestServer.run { server in
            let unusable = try await post("unusable", to: server)
            try unusable.expectProblem("unusable-record", status: 422, field: "text", says: "Line 3: it is empty")
            #expect(try unusable.integer("line") == 3)
            let malformed = try await post("malformed", to: server)
            try malformed.expectProblem("malformed-json", status: 400, says: "Line 2: it is not JSON")
            #expect(try malformed.integer("line") == 2)
            try await post("full", to: server).expectProblem("storage-full", status: 507)
            try await post("broken", to: server).expectProblem("ingestion-failed", status: 500, says: "damaged")
            try await post("{,}", as: "application/json", to: server).expectProblem(
                "malformed-json", status: 400, says: "line 1, column 2")
            try await post("[]", as: "application/json", to: server).expectProblem(
                "unusable-record", status: 422, says: "expected an object, found a list")
            try await post("a", as: "text/plain", to: server).expectProblem("unsupported-media-type", status: 415)
            try await post("a", as: "", to: server).expectProblem("unsupported-media-type", status: 415)
        }
    }

    @Test("list sequences page by page")
    func list() async throws {
        try await TestServer.run { server in
            var path = "/v1/sequences?limit=1"
            var ids: [String?] = []
            while true {
                let reply = try await server.client.get(path)
                #expect(try reply.count("sequences") == 1)
                ids.append(try reply.string("sequences.0.id"))
                guard let cursor = try reply.string("next_cursor") else { break }
                path = "/v1/sequences?limit=1&cursor=\(cursor)"
            }
            #expect(ids == ["1", "2", "3"])
            #expect(try await server.client.get("/v1/sequences?source=wiki").count("sequences") == 2)
            for (query, field) in [
                ("cursor=x", "cursor"), ("cursor=-1", "cursor"), ("source=", "source"), ("limit=1001", "limit"),
            ] {
                try await server.client.get("/v1/sequences?\(query)").expectProblem(
                    "invalid-field", status: 400, field: field)
            }
        }
    }

    @Test("wait for the engine")
    func starting() async throws {
        try await TestServer.run(isReady: false) { server in
            try await post("{\"text\": \"a\"}", to: server).expectProblem("starting", status: 503)
            try await server.client.get("/v1/sequences").expectProblem("starting", status: 503)
        }
    }
}
