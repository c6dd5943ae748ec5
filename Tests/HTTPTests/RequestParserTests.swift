import HTTPTypes
import Testing

@testable import HTTP

@Suite("A request parser")
struct RequestParserTests {
    /// A request that is accepted, and what the parser must make of it.
    struct Accepted: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: String
        var expectation: @Sendable (ParserOutcome) -> Bool
        var testDescription: String { name }
    }

    static let accepted: [Accepted] = [
        Accepted(name: "a GET without a body", bytes: "GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
            let request = $0.requests[0]
            return request.head.method == .get && request.head.target.path == "/" && request.body.isEmpty
                && request.head.keepsAlive && request.head.authority == "a"
        },
        Accepted(
            name: "a POST with Content-Length", bytes: "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        ) { $0.requests[0].text == "hello" && $0.requests[0].head.framing == .length(5) },
        Accepted(name: "a Content-Length of zero", bytes: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") {
            $0.requests[0].body.isEmpty
        },
        Accepted(
            name: "a chunked body",
            bytes:
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        ) { $0.requests[0].text == "hello world" },
        Accepted(
            name: "a chunked body whose data looks like chunks",
            bytes:
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0\r\n\r\n5\r\n\r\n\r\n0\r\n\r\n"
        ) { $0.requests[0].text == "0\r\n\r\n5\r\n\r\n" },
        Accepted(
            name: "chunk extensions and trailers, which are dropped",
            bytes: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3 ;a=b;c=\"d\"\r\nabc\r\n0;x\r\nContent-Length: 100\r\nX: y\r\n\r\n"
        ) { $0.requests[0].text == "abc" && !$0.requests[0].head.fields.contains(.contentLength) },
        Accepted(
            name: "two requests in one piece",
            bytes: "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
        ) { $0.requests.map(\.head.target.path) == ["/1", "/2"] },
        Accepted(name: "empty lines before a request", bytes: "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") {
            $0.requests.count == 1
        },
        Accepted(name: "a later minor version", bytes: "GET / HTTP/1.9\r\nHost: a\r\n\r\n") {
            $0.requests[0].head.version == .http11
        },
        Accepted(name: "HTTP/1.0 without Host", bytes: "GET / HTTP/1.0\r\n\r\n") {
            !$0.requests[0].head.keepsAlive && $0.requests[0].head.authority == nil
        },
        Accepted(name: "HTTP/1.0 that keeps alive", bytes: "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") {
            $0.requests[0].head.keepsAlive
        },
        Accepted(
            name: "Connection: close among others",
            bytes: "GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n"
        ) { !$0.requests[0].head.keepsAlive },
        Accepted(
            name: "an expectation",
            bytes: "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"
        ) { $0.requests[0].head.expectsContinue },
        Accepted(name: "an expectation in HTTP/1.0, which is ignored", bytes: "GET / HTTP/1.0\r\nExpect: x\r\n\r\n") {
            !$0.requests[0].head.expectsContinue
        },
        Accepted(name: "whitespace around a value", bytes: "GET / HTTP/1.1\r\nHost:\t a \t\r\nX:\r\n\r\n") {
            $0.requests[0].head.authority == "a" && $0.requests[0].head.fields.last?.value == ""
        },
        Accepted(name: "absolute-form", bytes: "GET HTTP://b:80/p?q=1 HTTP/1.1\r\nHost: a\r\n\r\n") {
            let head = $0.requests[0].head
            return head.authority == "b:80" && head.target.path == "/p"
                && head.target.query == [QueryItem(name: "q", value: "1")]
        },
        Accepted(name: "absolute-form without a path", bytes: "GET http://b?q HTTP/1.1\r\nHost: b\r\n\r\n") {
            $0.requests[0].head.target.path == "/" && $0.requests[0].head.target.query.map(\.name) == ["q"]
        },
        Accepted(name: "asterisk-form", bytes: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") {
            $0.requests[0].head.target.path == "*"
        },
        Accepted(name: "IPv6 in Host", bytes: "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n") {
            $0.requests[0].head.authority == "[::1]:8080"
        },
        Accepted(name: "a method of the client's own", bytes: "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n") {
            $0.requests[0].head.method.rawValue == "BREW"
        },
        Accepted(
            name: "an encoded path and query",
            bytes: "GET /a%2Fb/%C3%A9//c%20d?x=1+2&y=%26&flag&x=3 HTTP/1.1\r\nHost: a\r\n\r\n"
        ) {
            let target = $0.requests[0].head.target
            return target.segments == ["a/b", "é", "", "c d"]
                && target.query.map(\.name) == ["x", "y", "flag", "x"]
                && target.query.map(\.value) == ["1 2", "&", "", "3"]
        },
        Accepted(name: "a value beyond ASCII", bytes: "GET / HTTP/1.1\r\nHost: a\r\nX: é\r\n\r\n") {
            $0.requests[0].head.fields.last?.value == "é"
        },
    ]

    @Test("accepts what RFC 9112 allows", arguments: accepted)
    func accepts(_ accepted: Accepted) {
        let outcome = parse(accepted.bytes)
        #expect(outcome.rejection == nil)
        #expect(outcome.isIdle)
        #expect(!outcome.requests.isEmpty && accepted.expectation(outcome), "\(outcome)")
    }

    @Test("does not depend on how the bytes are split", arguments: accepted)
    func split(_ accepted: Accepted) {
        let bytes = Array(accepted.bytes.utf8)
        let whole = parse(pieces: [bytes])
        for pieces in fragmentations(of: bytes) { #expect(parse(pieces: pieces) == whole) }
    }

    @Test("announces a head before its body, and only if a body follows")
    func headEvent() throws {
        var parser = RequestParser(limits: RequestLimits())
        var input = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n".utf8)[...]
        guard case .head(let head) = try parser.parse(&input) else {
            Issue.record("no head")
            return
        }
        #expect(head.framing == .length(2))
        #expect(parser.isInBody && !parser.isIdle)
        input = Array("ab".utf8)[...]
        #expect(try parser.parse(&input) == .request(head, body: Array("ab".utf8)))
        #expect(!parser.isInBody && parser.isIdle)
    }

    @Test("accepts what is exactly at its limits")
    func atLimits() {
        let limits = RequestLimits(targetBytes: 4, headerBytes: 20, headerCount: 2, bodyBytes: 3)
        // "Host: a\r\n" has 9 bytes, "X: 34567\r\n" has 10, and so the section 19.
        let head = "POST /abc HTTP/1.1\r\nHost: a\r\nX: 34567\r\n\r\n"
        #expect(parse(head, limits: limits).requests.count == 1)
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        let roomy = RequestLimits(targetBytes: 4, headerBytes: 60, headerCount: 2, bodyBytes: 3)
        #expect(parse(chunked, limits: roomy).requests.map(\.text) == ["abc"])
    }

    @Test("grows with the bytes that have arrived, not with the announced length")
    func announcedLength() throws {
        var parser = RequestParser(limits: RequestLimits(bodyBytes: .max))
        var input = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000000000\r\n\r\nx".utf8)[...]
        _ = try parser.parse(&input)
        #expect(try parser.parse(&input) == nil)
        #expect(parser.isInBody)
    }
}
