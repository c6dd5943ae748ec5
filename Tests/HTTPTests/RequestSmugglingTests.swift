import TestScratch
import Testing

@testable import HTTP

/// Requests that two parsers could split in two ways. Each hides a second request, which must not be parsed.
@Suite("A smuggled request")
struct RequestSmugglingTests {
    private static let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

    private static func request(_ fields: String, version: String = "1.1", body: String) -> String {
        "POST / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n\(body)"
    }

    /// A request that ends at once for a parser that treats it as chunked.
    private static func ended(_ fields: String, version: String = "1.1") -> String {
        request(fields, version: version, body: "0\r\n\r\n" + hidden)
    }

    private static func chunked(_ body: String) -> String {
        request("Transfer-Encoding: chunked", body: body + hidden)
    }

    static let attempts: [(name: String, bytes: String)] = [
        ("behind both lengths", ended("Content-Length: 6\r\nTransfer-Encoding: chunked")),
        ("behind both lengths, reversed", ended("Transfer-Encoding: chunked\r\nContent-Length: 5")),
        ("behind two different lengths", request("Content-Length: 0\r\nContent-Length: 35", body: hidden)),
        ("behind two equal lengths", request("Content-Length: 0\r\nContent-Length: 0", body: hidden)),
        ("behind a list of lengths", request("Content-Length: 0, 0", body: hidden)),
        ("behind a signed length", request("Content-Length: +0", body: hidden)),
        ("behind a negative length", request("Content-Length: -1", body: hidden)),
        ("behind a hexadecimal length", request("Content-Length: 0x0", body: hidden)),
        ("behind a length with a space", request("Content-Length: 0 0", body: hidden)),
        ("behind an empty length", request("Content-Length:", body: hidden)),
        ("behind a length in other digits", request("Content-Length: \u{0660}", body: hidden)),
        ("behind a length in a name with a space", request("Content-Length : 35", body: hidden)),
        ("behind a coding in a name with a space", ended("Transfer-Encoding : chunked")),
        ("behind a coding in a folded line", ended("Transfer-Encoding:\r\n chunked")),
        ("behind chunked twice", ended("Transfer-Encoding: chunked, chunked")),
        ("behind two codings' lines", ended("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        ("behind a coding after chunked", ended("Transfer-Encoding: chunked, identity")),
        ("behind identity", ended("Transfer-Encoding: identity")),
        ("behind a misspelled coding", ended("Transfer-Encoding: xchunked")),
        ("behind a coding with a parameter", ended("Transfer-Encoding: chunked;a=b")),
        ("behind a quoted coding", ended("Transfer-Encoding: \"chunked\"")),
        ("behind a coding with a vertical tab", ended("Transfer-Encoding: \u{0B}chunked")),
        ("behind an empty coding", ended("Transfer-Encoding:")),
        ("behind a coding with an empty list element", ended("Transfer-Encoding: ,chunked")),
        ("behind a coding whose k is a Kelvin sign", ended("Transfer-Encoding: chun\u{212A}ed")),
        ("behind a coding in HTTP/1.0", ended("Transfer-Encoding: chunked", version: "1.0")),
        ("behind a coding after a bare LF", ended("X: y\nTransfer-Encoding: chunked")),
        ("behind a coding after a bare CR", ended("X: y\rTransfer-Encoding: chunked")),
        ("behind a NUL in a name", ended("Transfer-Encoding\0: chunked")),
        ("in a chunk size with a sign", chunked("+0\r\n\r\n")),
        ("in a chunk size with 0x", chunked("0x0\r\n\r\n")),
        ("in a chunk size with a space before", chunked(" 0\r\n\r\n")),
        ("in a chunk size with a space after", chunked("0 \r\n\r\n")),
        ("in an empty chunk size", chunked("\r\n\r\n")),
        ("in a chunk size that overflows to zero", chunked("10000000000000000\r\n\r\n")),
        ("after a chunk size with a bare LF", chunked("0\n\r\n")),
        ("in a chunk extension with a bare LF", chunked("1;\nx\r\n0\r\n\r\n")),
        ("after chunk data without its end", chunked("1\r\naXX0\r\n\r\n")),
        ("after chunk data with a bare LF", chunked("1\r\na\n0\r\n\r\n")),
        ("after trailers with a bare LF", chunked("0\r\nA: b\n\r\n")),
        ("after a last chunk with a bare LF", chunked("0\r\n\n")),
        ("in a folded trailer", chunked("0\r\nA: b\r\n c\r\n\r\n")),
    ]

    @Test("is not parsed", arguments: attempts.indices)
    func refused(index: Int) throws {
        let (name, bytes) = Self.attempts[index]
        let outcome = parse(bytes)
        #expect(outcome.rejection != nil, "\(name): \(outcome)")
        #expect(outcome.requests.isEmpty, "\(name): \(outcome)")
        for pieces in fragmentations(of: Array(bytes.utf8)) { #expect(parse(pieces: pieces) == outcome, "\(name)") }
    }

    @Test("in a body stays in the body")
    func body() {
        let fixed = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(Self.hidden.utf8.count)\r\n\r\n\(Self.hidden)"
        #expect(parse(fixed).requests.map(\.text) == [Self.hidden])
        let size = String(Self.hidden.utf8.count, radix: 16)
        let chunked = Self.request("Transfer-Encoding: chunked", body: "\(size)\r\n\(Self.hidden)\r\n0\r\n\r\n")
        #expect(parse(chunked).requests.map(\.text) == [Self.hidden])
    }

    /// Bytes that resemble requests: every fragmentation is accepted or refused in the same way.
    @Test("is not made by chance either", arguments: 0..<40)
    func mutations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let limits = RequestLimits(targetBytes: 60, headerBytes: 200, headerCount: 6, bodyBytes: 60)
        let interesting: [UInt8] = Array("\r\n\r\n:; ,\t0F%/?*\0".utf8)
        for _ in 0..<50 {
            let accepted = RequestParserTests.accepted.randomElement(using: &generator)?.bytes ?? ""
            let attempt = Self.attempts.randomElement(using: &generator)?.bytes ?? ""
            var bytes = Array((Bool.random(using: &generator) ? accepted : attempt).utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                let byte = interesting.randomElement(using: &generator) ?? 0
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = byte
                case 1: bytes.insert(byte, at: index)
                default: if bytes.count > 1 { bytes.remove(at: index) }
                }
            }
            let whole = parse(pieces: [bytes], limits: limits)
            for pieces in fragmentations(of: bytes, seed: seed) {
                #expect(parse(pieces: pieces, limits: limits) == whole)
            }
        }
    }
}
