import Files
import Foundation
import HTTPTypes
import TestScratch
import Testing

@testable import HTTP

@Suite("Compression", .timeLimit(.minutes(5)))
struct CompressionTests {
    private static let json = String(repeating: "{\"score\": 1.25}, ", count: 200)

    private func response(
        to accept: String?, contentType: String = "application/json", body: Response.Body? = nil,
        headers: HTTPFields = [:], status: HTTPResponse.Status = .ok
    ) async -> Response {
        var made = Response(
            status: status, headers: headers, body: body ?? .bytes(Array(Self.json.utf8)))
        made.headers[.contentType] = contentType
        let answer = made
        var request = Request(method: .get, path: "/", pathSegments: [])
        if let accept { request.headers[.acceptEncoding] = accept }
        return await Compression().wrapping { _ in answer }(request)
    }

    private func bytes(of response: Response) -> [UInt8] {
        if case .bytes(let bytes) = response.body { bytes } else { [] }
    }

    @Test("is done where the client takes it, and can be undone")
    func compresses() async throws {
        let response = await response(to: "gzip, deflate, br")
        #expect(
            response.headers[.contentEncoding] == "gzip" && response.headers[.vary] == "Accept-Encoding")
        let compressed = bytes(of: response)
        #expect(compressed.count < 200)
        #expect(try gunzip(compressed) == Array(Self.json.utf8))
    }

    @Test("undoes to the same at every size", arguments: [0, 1, 1023, 65_536, 3_000_001])
    func sizes(count: Int) throws {
        var generator = SeededGenerator(seed: UInt64(count))
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
        guard var gzip = GzipWriter(level: 6) else { throw GzipError.noMemory }
        let compressed = gzip.write(bytes, flush: .end)
        #expect(try gunzip(compressed) == bytes)
    }

    @Test("is done in pieces where the body is large")
    func large() async throws {
        var generator = SeededGenerator(seed: 1)
        let bytes = (0..<1_000_000).map { _ in UInt8.random(in: 32...126, using: &generator) }
        let response = await response(to: "gzip", body: .bytes(bytes))
        #expect(response.headers[.contentEncoding] == "gzip")
        #expect(try gunzip(self.bytes(of: response)) == bytes)
    }

    @Test(
        "follows the client's weights",
        arguments: [
            (nil, false), ("", false), ("gzip", true), ("GZIP", true), ("x-gzip", true), ("*", true),
            ("gzip;q=0", false), ("gzip;q=0.000", false), ("gzip;q=0.001", true), ("gzip; q=0.5", true),
            ("identity", false), ("identity;q=0.5, gzip;q=0.4", false),
            ("identity;q=0.4, gzip;q=0.5", true),
            ("identity, gzip", true), ("*;q=0", false), ("*;q=0, gzip", true), ("gzip;q=0, *", false),
            ("br, deflate", false), ("gzip;q=2", false), ("gzip;q=nan", false), ("gzip;q=1e-1", false),
            ("gzipped", false), ("gzip;level=9", false), (",,gzip", true),
        ] as [(String?, Bool)])
    func weights(accept: String?, isCompressed: Bool) async {
        let response = await response(to: accept)
        #expect((response.headers[.contentEncoding] == "gzip") == isCompressed)
        #expect(
            response.headers[.vary] == "Accept-Encoding",
            "what is sent depends on the request in any case")
    }

    @Test("leaves alone what is short, not text, already encoded, or not to be transformed")
    func exceptions() async {
        let short = await response(to: "gzip", body: .bytes([UInt8](repeating: 65, count: 1023)))
        let image = await response(to: "gzip", contentType: "image/png")
        let encoded = await response(to: "gzip", headers: [.contentEncoding: "br"])
        let kept = await response(to: "gzip", headers: [.cacheControl: "no-store, no-transform"])
        let partial = await response(to: "gzip", status: .partialContent)
        for response in [short, image, encoded, kept, partial] {
            #expect(response.headers[.contentEncoding] != "gzip" && response.headers[.vary] == nil)
        }
    }

    @Test(
        "is for text of all kinds",
        arguments: [
            ("text/csv; charset=utf-8", true), ("application/problem+json", true),
            ("Application/JSON", true),
            ("application/x-ndjson", true), ("image/svg+xml", true), ("text/event-stream", false),
            ("application/octet-stream", false), ("application/gzip", false), ("", false),
        ])
    func types(type: String, isCompressible: Bool) {
        #expect(Compression.isCompressible(type) == isCompressible)
    }

    @Test("gives a strong entity tag of its own, and leaves a weak one")
    func tags() async {
        let strong = await response(to: "gzip", headers: [.eTag: "\"abc\""])
        #expect(strong.headers[.eTag] == "\"abc-gzip\"")
        let weak = await response(to: "gzip", headers: [.eTag: "W/\"abc\""])
        #expect(weak.headers[.eTag] == "W/\"abc\"")
        let plain = await response(to: nil, headers: [.eTag: "\"abc\""])
        #expect(plain.headers[.eTag] == "\"abc\"")
    }

    @Test("lets every piece of a stream be read when it arrives")
    func streams() async throws {
        let response = await response(to: "gzip", body: .stream(CountingStream(count: 4)))
        guard case .stream(let pieces) = response.body else {
            Issue.record("no stream")
            return
        }
        var compressed: [UInt8] = []
        var read: [String] = []
        for try await piece in pieces {
            compressed += piece
            read.append(String(decoding: try gunzip(compressed), as: UTF8.self))
        }
        #expect(read == ["0\n", "0\n1\n", "0\n1\n2\n", "0\n1\n2\n3\n", "0\n1\n2\n3\n"])
    }

    @Test("reaches the client whole, in one piece or as a stream, and not in HEAD")
    func server() async throws {
        let routes = [
            Route(.get, "/json", summary: "") { _ in .json(Self.json.utf8) },
            Route(.get, "/stream", summary: "") { _ in
                Response(headers: [.contentType: "text/csv"], body: .stream(CountingStream(count: 500)))
            },
        ]
        let handler = try Router(routes: routes, logger: .silent).handler(within: [Compression()])
        let server = HTTPServer(configuration: .with { _ in }, logger: .silent, handler: handler)
        let port = try #require(try await server.start().first).port
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            let client = try RawClient(port: port)
            let whole = try client.exchange(get("/json", "Accept-Encoding: gzip\r\n"))
            #expect(whole["content-encoding"] == "gzip")
            #expect(try gunzip(Array(whole.chunks.joined())) == Array(Self.json.utf8))
            let head = get("/json", "Accept-Encoding: gzip\r\n").replacing("GET", with: "HEAD")
            #expect(
                try client.exchange(head, method: "HEAD")["content-length"] == whole["content-length"])
            let stream = try client.exchange(get("/stream", "Accept-Encoding: gzip\r\n"))
            let text = (0..<500).map { "\($0)\n" }.joined()
            #expect(try gunzip(Array(stream.chunks.joined())) == Array(text.utf8))
        }
        await server.shutdown(grace: .seconds(10))
    }
}
