import HTTPTypes
import Testing

@testable import HTTP

@Suite("A request over a limit", .timeLimit(.minutes(5)))
struct LimitTests {
    struct Example: Sendable, CustomTestStringConvertible {
        var request: String
        var status: Int
        var type: String
        var sentence: String
        var retryAfter: String?

        var testDescription: String { "\(status) \(type): \(sentence)" }
    }

    private static let limits = RequestLimits(targetBytes: 200, headerBytes: 300, headerCount: 5, bodyBytes: 100)

    private static func filler(_ count: Int) -> String { String(repeating: "a", count: count) }

    static let examples: [Example] = [
        Example(
            request: "GET /\(filler(200)) HTTP/1.1\r\nHost: a\r\n\r\n", status: 414, type: "target-too-long",
            sentence: "The request target is longer than 200 bytes: send long input in the body."),
        Example(
            request: get("/hello", "X: \(filler(300))\r\n"), status: 431, type: "header-too-large",
            sentence: "The header section is larger than 300 bytes: send fewer or shorter fields."),
        Example(
            request: get("/hello", "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n"), status: 431, type: "header-too-large",
            sentence: "The header section has more than 5 fields: send fewer."),
        Example(
            request: post("/echo", filler(101)), status: 413, type: "body-too-large",
            sentence: "The body is larger than 100 bytes: send less, or in several requests."),
        Example(
            request: "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", status: 413,
            type: "body-too-large", sentence: "The body is larger than 100 bytes: send less, or in several requests."),
        Example(
            request: post("/echo", "", "Expect: 102-processing\r\n"), status: 417, type: "unknown-expectation",
            sentence: "The expectation \"102-processing\" is not supported: the only one is 100-continue."),
        Example(
            request: "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", status: 501,
            type: "unknown-transfer-coding",
            sentence: "The transfer coding \"gzip\" is not implemented: the only one is chunked."),
        Example(
            request: "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", status: 501, type: "no-tunnels",
            sentence: "CONNECT is not implemented: this server opens no tunnels."),
        Example(
            request: "GET / HTTP/2.0\r\n\r\n", status: 505, type: "unsupported-version",
            sentence: "HTTP/2.0 is not supported: send HTTP/1.1 or HTTP/1.0."),
        Example(
            request: "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 421, type: "misdirected-request",
            sentence: "The request target's scheme is https, but this connection serves http."),
        Example(
            request: "GET / HTTP/1.1\r\n\r\n", status: 400, type: "malformed-request",
            sentence: "The request has no Host field."),
    ]

    @Test("is answered with a status, a type and a sentence", arguments: examples)
    func refused(_ example: Example) async throws {
        try await withServer(configuration: .with { $0.limits = Self.limits }) { port, _ in
            let client = try RawClient(port: port)
            let response = try client.exchange(example.request)
            #expect(response.status == example.status && response.problem == "/problems/\(example.type)")
            #expect(response.detail == example.sentence)
            #expect(response["retry-after"] == example.retryAfter && response["connection"] == "close")
            #expect(try client.isAtEnd())
        }
    }

    @Test(
        "of time is answered with the part that did not arrive",
        arguments: [
            ("GET / HT", "The request's header section did not arrive in time: send it right after connecting."),
            (
                "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf",
                "The request's body did not arrive in time: send it without pauses."
            ),
        ])
    func timeouts(request: String, sentence: String) async throws {
        let configuration = HTTPServerConfiguration.with {
            // The other timeout would end much later.
            if request.hasPrefix("GET") {
                $0.timeouts.header = .milliseconds(100)
            } else {
                $0.timeouts.body = .milliseconds(100)
            }
        }
        try await withServer(configuration: configuration) { port, _ in
            let response = try RawClient(port: port).exchange(request)
            #expect(response.status == 408 && response.problem == "/problems/request-timeout")
            #expect(response.detail == sentence && response["connection"] == "close")
        }
    }

    @Test("of bodies held at a time is asked to be sent again")
    func bodies() async throws {
        try await withServer(configuration: .with { $0.maximumBodyBytesInFlight = 50 }) { port, _ in
            let client = try RawClient(port: port)
            let waiting = post("/echo", Self.filler(99), "Expect: 100-continue\r\n").dropLast(99)
            #expect(try client.exchange(String(waiting)).status == 100)
            let response = try client.exchange(Self.filler(99))
            #expect(response.status == 503 && response.problem == "/problems/unavailable")
            #expect(
                response.detail == "The server holds as many request bodies as it can: try again when others are done.")
            #expect(response["retry-after"] == "1")
        }
    }

    @Test("of connections from one address is answered with the limit, until others close")
    func connectionsPerAddress() async throws {
        try await withServer(configuration: .with { $0.maximumConnectionsPerAddress = 2 }) { port, server in
            let kept = try (0..<2).map { _ in try RawClient(port: port) }
            for client in kept { #expect(try client.exchange(get("/hello")).status == 200) }
            let refused = try RawClient(port: port)
            let response = try refused.response()
            #expect(response.status == 503 && response.problem == "/problems/too-many-connections")
            #expect(
                response.detail
                    == "Your address has more than 2 connections open: close some, or keep fewer and send more requests on each."
            )
            #expect(try response["retry-after"] == "1" && refused.isAtEnd())
            refused.close()
            kept[0].close()
            while server.openConnections > 1 { try await Task.sleep(for: .milliseconds(2)) }
            #expect(try RawClient(port: port).exchange(get("/hello")).status == 200)
            #expect(try kept[1].exchange(get("/hello")).status == 200)
        }
    }

    @Test("of connections from one address does not apply to trusted proxies")
    func trustedProxies() async throws {
        let configuration = HTTPServerConfiguration.with {
            $0.maximumConnectionsPerAddress = 1
            $0.trustedProxies = TrustedProxies([AddressBlock("127.0.0.1")].compactMap { $0 })
        }
        try await withServer(configuration: configuration) { port, _ in
            let clients = try (0..<5).map { _ in try RawClient(port: port) }
            for client in clients { #expect(try client.exchange(get("/hello")).status == 200) }
        }
    }
}
