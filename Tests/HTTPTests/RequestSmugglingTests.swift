import Testing

@testable import HTTP

/// Requests that two parsers could split in two ways. Each hides a second request; none of them may come to light.
@Suite("A smuggled request")
struct RequestSmugglingTests {
    private static let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

    private static func request(_ fields: String, version: String = "1.1", body: String) -> String {
        "POST / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n\(body)"
    }

    static let attempts: [(name: String, bytes: String)] = [
        ("behind both lengths", request("Content-Length: 6\r\nTransfer-Encoding: chunked", body: "0\r\n\r\n" + hidden)),
        (
            "behind both lengths, reversed",
            request("Transfer-Encoding: chunked\r\nContent-Length: 5", body: "0\r\n\r\n" + hidden)
        ),
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
        ("behind a coding in a name with a space", request("Transfer-Encoding : chunked", body: "0\r\n\r\n" + hidden)),
        ("behind a coding in a folded line", request("Transfer-Encoding:\r\n chunked", body: "0\r\n\r\n" + hidden)),
        ("behind chunked twice", request("Transfer-Encoding: chunked, chunked", body: "0\r\n\r\n" + hidden)),
        (
            "behind two codings' lines",
            request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", body: "0\r\n\r\n" + hidden)
        ),
        ("behind a coding after chunked", request("Transfer-Encoding: chunked, identity", body: "0\r\n\r\n" + hidden)),
        ("behind identity", request("Transfer-Encoding: identity", body: "0\r\n\r\n" + hidden)),
        ("behind a misspelled coding", request("Transfer-Encoding: xchunked", body: "0\r\n\r\n" + hidden)),
        ("behind a coding with a parameter", request("Transfer-Encoding: chunked;a=b", body: "0\r\n\r\n" + hidden)),
        ("behind a quoted coding", request("Transfer-Encoding: \"chunked\"", body: "0\r\n\r\n" + hidden)),
        (
            "behind a coding with a vertical tab",
            request("Transfer-Encoding: \u{0B}chunked", body: "0\r\n\r\n" + hidden)
        ),
        ("behind an empty coding", request("Transfer-Encoding:", body: "0\r\n\r\n" + hidden)),
        (
            "behind a coding with an empty list element",
            request("Transfer-Encoding: ,chunked", body: "0\r\n\r\n" + hidden)
        ),
        (
            "behind a coding whose k is a Kelvin sign",
            request("Transfer-Encoding: chun\u{212A}ed", body: "0\r\n\r\n" + hidden)
        ),
        (
            "behind a coding in HTTP/1.0",
            request("Transfer-Encoding: chunked", version: "1.0", body: "0\r\n\r\n" + hidden)
        ),
        ("behind a coding after a bare LF", request("X: y\nTransfer-Encoding: chunked", body: "0\r\n\r\n" + hidden)),
        ("behind a coding after a bare CR", request("X: y\rTransfer-Encoding: chunked", body: "0\r\n\r\n" + hidden)),
        ("behind a NUL in a name", request("Transfer-Encoding\0: chunked", body: "0\r\n\r\n" + hidden)),
        ("in a chunk size with a sign", request("Transfer-Encoding: chunked", body: "+0\r\n\r\n" + hidden)),
        ("in a chunk size with 0x", request("Transfer-Encoding: chunked", body: "0x0\r\n\r\n" + hidden)),
        ("in a chunk size with a space before", request("Transfer-Encoding: chunked", body: " 0\r\n\r\n" + hidden)),
        ("in a chunk size with a space after", request("Transfer-Encoding: chunked", body: "0 \r\n\r\n" + hidden)),
        ("in an empty chunk size", request("Transfer-Encoding: chunked", body: "\r\n\r\n" + hidden)),
        (
            "in a chunk size that overflows to zero",
            request("Transfer-Encoding: chunked", body: "10000000000000000\r\n\r\n" + hidden)
        ),
        ("after a chunk size with a bare LF", request("Transfer-Encoding: chunked", body: "0\n\r\n" + hidden)),
        (
            "in a chunk extension with a bare LF",
            request("Transfer-Encoding: chunked", body: "1;\nx\r\n0\r\n\r\n" + hidden)
        ),
        ("after chunk data without its end", request("Transfer-Encoding: chunked", body: "1\r\naXX0\r\n\r\n" + hidden)),
        ("after chunk data with a bare LF", request("Transfer-Encoding: chunked", body: "1\r\na\n0\r\n\r\n" + hidden)),
        ("after trailers with a bare LF", request("Transfer-Encoding: chunked", body: "0\r\nA: b\n\r\n" + hidden)),
        ("after a last chunk with a bare LF", request("Transfer-Encoding: chunked", body: "0\r\n\n" + hidden)),
        ("in a folded trailer", request("Transfer-Encoding: chunked", body: "0\r\nA: b\r\n c\r\n\r\n" + hidden)),
    ]

    @Test("does not come to light", arguments: attempts.indices)
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

    /// Bytes near to requests: whatever they are, they are taken or refused in the same way in every fragmentation.
    @Test("is not made by chance either", arguments: 0..<40)
    func mutations(seed: UInt64) {
        var generator = SplitMix64(state: seed)
        let limits = RequestLimits(targetBytes: 60, headerBytes: 200, headerCount: 6, bodyBytes: 60)
        let interesting: [UInt8] = Array("\r\n\r\n:; ,\t0F%/?*\0".utf8)
        for _ in 0..<50 {
            let accepted = RequestParserTests.accepted.randomElement(using: &generator)?.bytes ?? ""
            let attempt = Self.attempts.randomElement(using: &generator)?.bytes ?? ""
            var bytes = Array((Bool.random(using: &generator) ? accepted : attempt).utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                let byte = interesting.randomElement(using: &generator) ?? 0
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = byte
                case 1: bytes.insert(byte, at: place)
                default: if bytes.count > 1 { bytes.remove(at: place) }
                }
            }
            let whole = parse(pieces: [bytes], limits: limits)
            for pieces in fragmentations(of: bytes, seed: seed) {
                #expect(parse(pieces: pieces, limits: limits) == whole)
            }
        }
    }
}
