import HTTPTypes
import Testing

@testable import HTTP

/// Bytes that can arrive over a socket, and the responses to them: the whole contract on where requests begin and end.
@Suite("Bytes from a socket", .timeLimit(.minutes(5)))
struct StrictnessTests {
    struct Line: Sendable, CustomTestStringConvertible {
        var why: String
        var bytes: String
        /// The statuses of all responses, in order.
        var statuses: [Int]
        /// Whether the server then closes the connection without being asked to.
        var closes: Bool

        var testDescription: String { why }

        init(_ why: String, _ bytes: String, _ statuses: [Int], closes: Bool? = nil) {
            (self.why, self.bytes, self.statuses) = (why, bytes, statuses)
            self.closes = closes ?? (statuses.last.map { $0 >= 400 && $0 != 404 && $0 != 405 } ?? true)
        }
    }

    private static let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

    /// A POST with some fields, and a hidden request behind it or in its body.
    private static func post(_ fields: String, body: String = "0\r\n\r\n", version: String = "1.1") -> String {
        "POST /echo HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n\(body)\(hidden)"
    }

    private static func get(_ fields: String, line: String = "GET /hello HTTP/1.1") -> String {
        "\(line)\r\n\(fields)\r\n\r\n"
    }

    static let lines: [Line] = [
        // Framing: RFC 9112 section 6
        Line("both lengths: 6.3, rule 3", post("Content-Length: 6\r\nTransfer-Encoding: chunked"), [400]),
        Line("both lengths, the other way round", post("Transfer-Encoding: chunked\r\nContent-Length: 6"), [400]),
        Line("differing lengths: 6.3, rule 5", post("Content-Length: 0\r\nContent-Length: 5", body: ""), [400]),
        Line(
            "equal lengths in two lines: allowed to be refused", post("Content-Length: 0\r\nContent-Length: 0"), [400]),
        Line("equal lengths in a list", post("Content-Length: 0, 0"), [400]),
        Line("a signed length", post("Content-Length: +0"), [400]),
        Line("a negative length", post("Content-Length: -1"), [400]),
        Line("a length with zeros before it is that length", post("Content-Length: 0005", body: "hello"), [200, 404]),
        Line("a body that looks like a request", post("Content-Length: 33", body: ""), [200], closes: false),
        Line("chunked", post("Transfer-Encoding: chunked"), [200, 404]),
        Line("CHUNKED: codings have no case", post("Transfer-Encoding: CHUNKED"), [200, 404]),
        Line("chunked with whitespace around it", post("Transfer-Encoding: \t chunked \t"), [200, 404]),
        Line("chunked twice: 6.1", post("Transfer-Encoding: chunked, chunked"), [400]),
        Line("chunked in two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), [400]),
        Line("chunked before another coding: 6.3, rule 4", post("Transfer-Encoding: chunked, gzip"), [501]),
        Line("a coding before chunked", post("Transfer-Encoding: gzip, chunked"), [501]),
        Line("identity, which is no coding any more", post("Transfer-Encoding: identity"), [501]),
        Line("xchunked", post("Transfer-Encoding: xchunked"), [501]),
        Line("chunked with a parameter", post("Transfer-Encoding: chunked;q=1"), [501]),
        Line("an empty list element", post("Transfer-Encoding: ,chunked"), [400]),
        Line("an empty Transfer-Encoding", post("Transfer-Encoding:"), [400]),
        Line("a vertical tab before chunked", post("Transfer-Encoding: \u{0B}chunked"), [400]),
        Line("Transfer-Encoding in HTTP/1.0: 6.1", post("Transfer-Encoding: chunked", version: "1.0"), [400]),
        // Chunks: section 7.1
        Line(
            "extensions are read over: 7.1.1",
            post("Transfer-Encoding: chunked", body: "5;a=\"b\"\r\nhello\r\n0;c\r\n\r\n"), [200, 404]),
        Line("a trailer", post("Transfer-Encoding: chunked", body: "0\r\nX: y\r\n\r\n"), [200, 404]),
        Line("a chunk size beyond 64 bits", post("Transfer-Encoding: chunked", body: "10000000000000000\r\n"), [413]),
        Line(
            "a chunk size in octal clothes", post("Transfer-Encoding: chunked", body: "0x5\r\nhello\r\n0\r\n\r\n"),
            [400]),
        Line("a chunk size with a sign", post("Transfer-Encoding: chunked", body: "+5\r\nhello\r\n0\r\n\r\n"), [400]),
        Line(
            "a chunk size with a space before it", post("Transfer-Encoding: chunked", body: " 5\r\nhello\r\n0\r\n\r\n"),
            [400]),
        Line("no chunk size", post("Transfer-Encoding: chunked", body: ";a\r\nhello\r\n0\r\n\r\n"), [400]),
        Line(
            "an extension without a name: 7.1.1",
            post("Transfer-Encoding: chunked", body: "5;\r\nhello\r\n0\r\n\r\n"), [400]),
        Line(
            "an extension's value without its end",
            post("Transfer-Encoding: chunked", body: "5;a=\"b\r\nhello\r\n0\r\n\r\n"), [400]),
        Line(
            "a chunk longer than its size", post("Transfer-Encoding: chunked", body: "4\r\nhello\r\n0\r\n\r\n"), [400]),
        Line(
            "a chunk that ends with a bare LF", post("Transfer-Encoding: chunked", body: "5\r\nhello\n0\r\n\r\n"), [400]
        ),
        Line(
            "a chunk-size line that ends with a bare LF",
            post("Transfer-Encoding: chunked", body: "5\nhello\r\n0\r\n\r\n"), [400]),
        // Lines: section 2.2
        Line("a bare LF after a field", get("Host: a\nX: y"), [400]),
        Line("a bare LF after the request line", "GET /hello HTTP/1.1\nHost: a\r\n\r\n", [400]),
        Line("a bare CR in a field", get("Host: a\rX: y"), [400]),
        Line("CR CR LF", get("Host: a\r\r\nX: y"), [400]),
        Line("an empty line before a request is skipped", "\r\n" + get("Host: a"), [200]),
        Line("empty lines without end", String(repeating: "\r\n", count: 100), [400]),
        // Fields: section 5
        Line("a folded line: 5.2", get("Host: a\r\nX: y\r\n z"), [400]),
        Line("a folded Transfer-Encoding", post("Transfer-Encoding:\r\n chunked"), [400]),
        Line("a space before the colon: 5.1", post("Transfer-Encoding : chunked"), [400]),
        Line("a NUL in a value", get("Host: a\r\nX: \0"), [400]),
        Line("a NUL in a name", post("Transfer-Encoding\0: chunked"), [400]),
        Line("a field without a colon", get("Host: a\r\nX"), [400]),
        // Host: section 3.2
        Line("no Host", get("X: y"), [400]),
        Line("two Hosts", get("Host: a\r\nHost: a"), [400]),
        Line("a Host with a path", get("Host: a/b"), [400]),
        Line("a Host with a user", get("Host: u@a"), [400]),
        Line("a Host that is a list", get("Host: a, b"), [400]),
        Line("an empty Host", get("Host:"), [400]),
        Line("a Host with half a percent-encoding", get("Host: a%"), [400]),
        Line("a Host that is no IPv6 address", get("Host: [:::::]"), [400]),
        Line("a Host that this server does not serve", get("Host: rebound.example"), [421]),
        Line("absolute-form: its host counts (3.2.2)", get("Host: b", line: "GET http://a/authority HTTP/1.1"), [200]),
        Line("absolute-form does without no Host", get("X: y", line: "GET http://a/hello HTTP/1.1"), [400]),
        Line(
            "absolute-form with a bad Host all the same", get("Host: a b", line: "GET http://a/hello HTTP/1.1"), [400]),
        // Versions and methods
        Line("HTTP/0.9", "GET /hello\r\n", [400]),
        Line("HTTP/1.0 without Host, closed after", "GET /hello HTTP/1.0\r\n\r\n\(hidden)", [200], closes: true),
        Line("HTTP/1.2 is HTTP/1.1 to us", get("Host: a", line: "GET /hello HTTP/1.2"), [200]),
        Line("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505]),
        Line("TLS on this port", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}", [400]),
        Line("CONNECT", get("Host: a", line: "CONNECT a:443 HTTP/1.1"), [501]),
        Line("a tab in the request line", get("Host: a", line: "GET\t/hello HTTP/1.1"), [400]),
        Line("a method of another case is another method", get("Host: a", line: "get /hello HTTP/1.1"), [405]),
        // Order: section 9.3.2
        Line(
            "pipelined requests, answered in order up to the bad one",
            get("Host: a") + "GET /none HTTP/1.1\r\nHost: a\r\n\r\n" + get("Host: a") + "nonsense\r\n\r\n" + hidden,
            [200, 404, 200, 400]),
        Line(
            "what follows Connection: close is not read", get("Host: a\r\nConnection: close") + hidden, [200],
            closes: true),
        // Size
        Line("a target too long", get("Host: a", line: "GET /\(String(repeating: "a", count: 9000)) HTTP/1.1"), [414]),
        Line("too many fields", get("Host: a" + String(repeating: "\r\nX: y", count: 100)), [431]),
        Line("a field too large", get("Host: a\r\nX: \(String(repeating: "y", count: 40_000))"), [431]),
    ]

    @Test("are answered as RFC 9112 says, and no hidden request is parsed", arguments: lines)
    func line(_ line: Line) async throws {
        let authorities = Recorder<String>()
        let routes =
            [Route].standard + [
                Route(.get, "/authority", summary: "") { request in
                    authorities.append(request.authority ?? "")
                    return .text("")
                }
            ]
        try await withServer(routes) { port, _ in
            let client = try RawClient(port: port)
            try client.send(line.bytes)
            client.finishSending()
            var statuses: [Int] = []
            for index in line.statuses.indices {
                let response = try client.response()
                statuses.append(response.status)
                let isLast = index == line.statuses.indices.last
                if isLast { #expect((response["connection"] == "close") == line.closes) }
                if response.status >= 400 { #expect(response.problem != nil) }
            }
            #expect(statuses == line.statuses)
            #expect(try client.isAtEnd(), "no further response")
        }
        #expect(authorities.all.allSatisfy { $0 == "a" })
    }
}
