import Foundation
import HTTPTypes
import TestScratch
import Testing

@testable import HTTP

@Suite("Messages")
struct MessageTests {
    private static func encode(
        _ response: Response, isHead: Bool = false, version: HTTPVersion = .http11, keepsAlive: Bool = true
    ) -> (encoder: ResponseEncoder, lines: [String]) {
        let context = ResponseEncoder.RequestContext(isHead: isHead, version: version, identifier: "7")
        let encoder = ResponseEncoder(response, to: context, keepsAlive: keepsAlive)
        let text = String(decoding: encoder.head(date: "now"), as: UTF8.self)
        return (encoder, text.components(separatedBy: "\r\n"))
    }

    @Test("a response says its length, date and request")
    func fixed() {
        let (encoder, lines) = Self.encode(.text("hello"))
        #expect(
            lines == [
                "HTTP/1.1 200 OK", "Date: now", "X-Request-Id: 7", "Content-Length: 5",
                "Content-Type: text/plain; charset=utf-8", "", "",
            ])
        #expect(encoder.sendsBody && encoder.keepsAlive)
    }

    @Test("a response to HEAD has the fields of GET and no body")
    func head() {
        let (encoder, lines) = Self.encode(.text("hello"), isHead: true)
        #expect(lines == Self.encode(.text("hello")).lines && !encoder.sendsBody)
    }

    @Test("a response without content says no length", arguments: [204, 304] as [Int])
    func noContent(code: Int) {
        let (encoder, lines) = Self.encode(Response(status: .init(code: code), body: .bytes([1])))
        #expect(!encoder.sendsBody)
        #expect(!lines.contains { $0.hasPrefix("Content-Length") || $0.hasPrefix("Transfer-Encoding") })
    }

    @Test("a stream is chunked in HTTP/1.1 and ends with the connection in HTTP/1.0")
    func stream() {
        let response = Response(body: .stream(CountingStream(count: 1)))
        let modern = Self.encode(response)
        #expect(modern.lines.contains("Transfer-Encoding: chunked") && modern.encoder.keepsAlive)
        let old = Self.encode(response, version: .http10)
        #expect(old.lines.contains("Connection: close") && !old.encoder.keepsAlive)
        #expect(!old.lines.contains { $0.hasPrefix("Transfer-Encoding") })
        #expect(ResponseEncoder.frame([65, 66], as: .chunked).joined().elementsEqual("2\r\nAB\r\n".utf8))
        #expect(ResponseEncoder.frame([], as: .chunked).isEmpty, "an empty chunk would end the body")
        #expect(ResponseEncoder.frame([65], as: .close) == [[65]])
    }

    @Test("a handler cannot set the connection's own fields nor break out of a field")
    func injection() {
        var response = Response.text("x")
        response.headers[.contentLength] = "100"
        response.headers[.transferEncoding] = "chunked"
        response.headers[.connection] = "upgrade"
        response.headers[.location] = "/a\r\nSet-Cookie: b=c"
        let lines = Self.encode(response).lines
        #expect(lines.filter { $0.hasPrefix("Content-Length") } == ["Content-Length: 1"])
        #expect(!lines.contains { $0.hasPrefix("Transfer-Encoding") || $0.hasPrefix("Connection") })
        #expect(!lines.contains { $0.hasPrefix("Set-Cookie") })
    }

    @Test("a response to an HTTP/1.0 client says that the connection stays open")
    func oldKeepAlive() {
        #expect(Self.encode(.text("x"), version: .http10).lines.contains("Connection: keep-alive"))
        #expect(!Self.encode(.text("x")).lines.contains { $0.hasPrefix("Connection") })
        #expect(Self.encode(.text("x"), keepsAlive: false).lines.contains("Connection: close"))
    }

    @Test(
        "a date is written in the format of RFC 9110",
        arguments: [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_709_210_096, "Thu, 29 Feb 2024 12:34:56 GMT"),
        ])
    func date(seconds: Int, expected: String) {
        #expect(HTTPDate.format(seconds: seconds) == expected)
    }

    @Test("a problem is RFC 9457 JSON, whatever its text contains")
    func problem() throws {
        let problem = Problem(
            ProblemKind("test", title: "A \"test\"", status: .conflict, ""),
            detail: "Line\nbreak, \u{1}, é and </script>", field: "a.b", headers: [.retryAfter: "3"])
        let response = problem.response(path: "/v1/x")
        #expect(response.status == .conflict && response.headers[.retryAfter] == "3")
        #expect(response.headers[.contentType] == "application/problem+json")
        guard case .bytes(let bytes) = response.body else {
            Issue.record("a problem is no stream")
            return
        }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
        #expect(object["type"] as? String == "/problems/test")
        #expect(object["title"] as? String == problem.title && object["detail"] as? String == problem.detail)
        #expect(object["status"] as? Int == 409 && object["field"] as? String == "a.b")
        #expect(object["instance"] as? String == "/v1/x")
    }

    @Test("an output buffer returns the bytes that were appended, however they are dropped")
    func outputBuffer() {
        var generator = SeededGenerator(seed: 3)
        var buffer = OutputBuffer()
        var expected: [UInt8] = []
        var taken: [UInt8] = []
        for round in 0..<300 {
            let size = [0, 1, 100, 5000].randomElement(using: &generator) ?? 0
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: size)
            buffer.append(bytes)
            expected += bytes
            let waiting = buffer.segments.joined().dropFirst(buffer.offset)
            #expect(waiting.count == buffer.count)
            let count = Int.random(in: 0...buffer.count, using: &generator)
            taken += waiting.prefix(count)
            buffer.drop(count)
        }
        taken += buffer.segments.joined().dropFirst(buffer.offset)
        #expect(taken == expected)
        buffer.drop(buffer.count)
        #expect(buffer.isEmpty && buffer.segments.isEmpty)
    }

    @Test("a client's request identifier is kept if it fits into a log line")
    func identifiers() {
        let identifiers = RequestIdentifiers()
        func identifier(_ value: String) -> String {
            var fields = HTTPFields()
            if let name = HTTPField.Name("X-Request-ID") { fields[name] = value }
            return identifiers.identifier(in: fields)
        }
        #expect(identifier("abc-123") == "abc-123")
        for unusable in ["", "a b", "a\"b", String(repeating: "a", count: 65)] {
            #expect(identifier(unusable) != unusable)
        }
        #expect(identifiers.next() != identifiers.next())
    }
}
