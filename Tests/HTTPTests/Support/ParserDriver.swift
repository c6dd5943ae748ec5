import TestScratch
@testable import HTTP

/// The requests, and the rejection, that a parser made of some bytes.
struct ParserOutcome: Equatable, CustomStringConvertible {
    var requests: [ParsedRequest] = []
    var rejection: RequestRejection?
    /// Whether the parser is between requests.
    var isIdle = true

    var description: String {
        "\(requests.count) requests, \(rejection.map { "\($0.status.code) \($0)" } ?? "no rejection"), idle: \(isIdle)"
    }
}

struct ParsedRequest: Equatable {
    var head: RequestHead
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// Feeds a parser with chunks until they end or are rejected.
func parse(pieces: [[UInt8]], limits: RequestLimits = RequestLimits()) -> ParserOutcome {
    var parser = RequestParser(limits: limits)
    var outcome = ParserOutcome()
    for piece in pieces {
        var input = piece[...]
        do throws(RequestRejection) {
            while let event = try parser.parse(&input) {
                if case .request(let head, let body) = event {
                    outcome.requests.append(ParsedRequest(head: head, body: body))
                }
            }
        } catch {
            outcome.rejection = error
            outcome.isIdle = false
            return outcome
        }
    }
    outcome.isIdle = parser.isIdle
    return outcome
}

func parse(_ text: String, limits: RequestLimits = RequestLimits()) -> ParserOutcome {
    parse(pieces: [Array(text.utf8)], limits: limits)
}

/// The ways to split bytes that every parser test tries: byte by byte, and at random positions.
func fragmentations(of bytes: [UInt8], seed: UInt64 = 1) -> [[[UInt8]]] {
    var generator = SeededGenerator(seed: seed &+ UInt64(bytes.count))
    var results = [bytes.map { [$0] }]
    for _ in 0..<8 {
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...max(1, min(rest.count, 40)), using: &generator))
            pieces.append(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        results.append(pieces)
    }
    return results
}
