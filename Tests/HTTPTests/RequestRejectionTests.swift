import Testing

@testable import HTTP

@Suite("Extensions of a chunk")
struct ChunkExtensionTests {
    @Test(
        "are what RFC 9112 section 7.1.1 allows",
        arguments: [
            "", ";a", ";a;b", ";a=b", ";a=\"\"", ";a=\"b;c\\\"d\\\\\";e", " ; a = b\t;\tc =\"é\"", ";a = \"x\" ;b",
            ";!#$=*+-.^_`|~",
        ])
    func valid(text: String) { #expect(ChunkExtensions.areValid(Array(text.utf8)[...])) }

    @Test(
        "are nothing else",
        arguments: [
            ";", ";;", ";;a", ";a;", " ", "\t", ";a ", ";a=b ", ";a=", ";a= ", ";=b", ";a b", ";a==b", ";a=b=c",
            ";a=\"b",
            ";a=\"b\\\"", ";a=\"b\\", ";a=\"b\"c", ";a=b\"c\"", ";\"a\"", ";a,b", ";a(b)", ";é", "a", "=a", "\"a\"",
            ";a=é",
        ])
    func invalid(text: String) { #expect(!ChunkExtensions.areValid(Array(text.utf8)[...])) }
}

@Suite("A request parser refuses")
struct RequestRejectionTests {
    struct Refused: Sendable, CustomTestStringConvertible {
        var name: String
        var status: Int
        var bytes: [UInt8]
        var testDescription: String { "\(name) with \(status)" }

        init(_ name: String, _ status: Int, _ text: String) {
            (self.name, self.status, bytes) = (name, status, Array(text.utf8))
        }
    }

    static let limits = RequestLimits(targetBytes: 100, headerBytes: 300, headerCount: 5, bodyBytes: 50)

    private static func request(_ fields: String, line: String = "POST / HTTP/1.1", body: String = "") -> String {
        "\(line)\r\nHost: a\r\n\(fields)\r\n\(body)"
    }

    private static func chunked(_ body: String) -> String {
        request("Transfer-Encoding: chunked\r\n", body: body)
    }

    static let refused: [Refused] = [
        // Request line
        Refused("a missing version", 400, "GET /\r\nHost: a\r\n\r\n"),
        Refused("two spaces in the request line", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a tab in the request line", 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a space after the version", 400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        Refused("a space before the method", 400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a space in the target", 400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a method that is no token", 400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a lower-case version", 400, "GET / http/1.1\r\nHost: a\r\n\r\n"),
        Refused("a version of two digits", 400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        Refused("another protocol", 400, "GET / ICAP/1.0\r\nHost: a\r\n\r\n"),
        Refused("HTTP/2 with prior knowledge", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Refused("HTTP/0.9 with a number", 505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
        Refused("TLS", 400, "\u{16}\u{03}\u{01}"),
        Refused("a stream of empty lines", 400, "\r\n\r\n\r\n\r\n\r\n"),
        Refused("CONNECT", 501, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
        // Target
        Refused("a target without a slash", 400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("an asterisk with GET", 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a fragment", 400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("an unescaped character in the path", 400, "GET /a\"b HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a backslash in the path", 400, "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a byte beyond ASCII in the target", 400, "GET /é HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("an unfinished percent sign", 400, "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a percent sign without digits", 400, "GET /?q=100%zz HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("encoded bytes that are not UTF-8", 400, "GET /%FF HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("another scheme", 400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("https on a connection without TLS", 421, "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a user in the authority", 400, "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("an absolute target without a host", 400, "GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n"),
        Refused("a target over its limit", 414, "GET /\(String(repeating: "a", count: 100)) HTTP/1.1\r\n\r\n"),
        Refused("a target without end", 414, "GET /\(String(repeating: "a", count: 1000))"),
        // Lines
        Refused("a bare LF after the request line", 400, "GET / HTTP/1.1\nHost: a\n\n"),
        Refused("a bare LF after a field", 400, "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        Refused("a bare LF at the end of the head", 400, "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        Refused("a bare CR in a value", 400, "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
        Refused("CR CR LF", 400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
        Refused("a NUL in a value", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"),
        Refused("a DEL in a value", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: \u{7F}\r\n\r\n"),
        // Fields
        Refused("a folded line", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"),
        Refused("a folded first line", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        Refused("a space before the colon", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
        Refused("a field without a colon", 400, "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n"),
        Refused("a field without a name", 400, "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"),
        Refused("a name that is no token", 400, "GET / HTTP/1.1\r\nHost: a\r\nX(y): z\r\n\r\n"),
        Refused("a name beyond ASCII", 400, "GET / HTTP/1.1\r\nHost: a\r\nÉ: z\r\n\r\n"),
        Refused("too many fields", 431, request("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n")),
        Refused("a header section over its limit", 431, request("A: \(String(repeating: "a", count: 300))\r\n")),
        Refused("a field without end", 431, request("A: \(String(repeating: "a", count: 1000))")),
        Refused("no Host in HTTP/1.1", 400, "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
        Refused("two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        Refused("two Hosts in HTTP/1.0", 400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
        Refused("an empty Host", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        Refused("a Host that is a list", 400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
        Refused("a Host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        Refused("a Host with a user", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        Refused("a Host with a port that is no number", 400, "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n"),
        Refused("a Host with an open bracket", 400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
        Refused("an unknown expectation", 417, request("Expect: 200-ok\r\n")),
        // Bodies
        Refused("a Content-Length that is no number", 400, request("Content-Length: five\r\n")),
        Refused("a body over its limit", 413, request("Content-Length: 51\r\n")),
        Refused("a length beyond any integer", 413, request("Content-Length: 99999999999999999999999\r\n")),
        Refused("an unknown transfer coding", 501, request("Transfer-Encoding: gzip\r\n")),
        Refused("a chunk over the body's limit", 413, chunked("33\r\n")),
        Refused(
            "chunks that are together over the body's limit", 413,
            chunked("20\r\n\(String(repeating: "a", count: 32))\r\n13\r\n")),
        Refused("a chunk size beyond any integer", 413, chunked("FFFFFFFFFFFFFFFFFFFFFFFF\r\n")),
        Refused("a chunk-size line without end", 400, chunked("1;\(String(repeating: "a", count: 1000))")),
        Refused("trailers without end", 431, chunked("0\r\nX: \(String(repeating: "a", count: 1000))")),
        Refused("too many trailers", 431, chunked("0\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\n\r\n")),
        Refused("a trailer that is no field", 400, chunked("0\r\nnonsense\r\n\r\n")),
        Refused(
            "chunk extensions without end", 431,
            chunked(String(repeating: "1;\(String(repeating: "e", count: 120))\r\na\r\n", count: 4))),
    ]

    @Test("what is not a request", arguments: refused)
    func refuses(_ refused: Refused) throws {
        let outcome = parse(pieces: [refused.bytes], limits: Self.limits)
        let rejection = try #require(outcome.rejection)
        #expect(rejection.status.code == refused.status)
        #expect(rejection.description.hasSuffix(".") && Problem(rejection).detail == rejection.description)
    }

    @Test("the same however the bytes are split", arguments: refused)
    func split(_ refused: Refused) {
        let whole = parse(pieces: [refused.bytes], limits: Self.limits)
        for pieces in fragmentations(of: refused.bytes) {
            #expect(parse(pieces: pieces, limits: Self.limits) == whole)
        }
    }
}
