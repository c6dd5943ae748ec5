// Fed by libFuzzer with bytes as a client could send them. The parser must not crash, must give the same result in whatever chunks the
// bytes arrive, and must keep the promises that handlers rely on for every request that it accepts.

import HTTPTypes

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequestParser(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    let whole = outcome(of: [bytes[...]])
    precondition(outcome(of: bytes.indices.map { bytes[$0...$0] }) == whole, "byte by byte")
    precondition(outcome(of: pieces(of: bytes)) == whole, "in pieces")
    for case .request(let head, let body) in whole.events { check(head, body) }
    return 0
}

/// Small, so that inputs of a few hundred bytes reach every limit.
private let limits = RequestLimits(targetBytes: 80, headerBytes: 300, headerCount: 8, bodyBytes: 200)

private struct Outcome: Equatable {
    var events: [RequestParser.Event] = []
    var rejection: RequestRejection?
    var isIdle = true
}

private func outcome(of pieces: [ArraySlice<UInt8>]) -> Outcome {
    var parser = RequestParser(limits: limits)
    var outcome = Outcome()
    do throws(RequestRejection) {
        for piece in pieces {
            var input = piece
            while let event = try parser.parse(&input) { outcome.events.append(event) }
        }
        outcome.isIdle = parser.isIdle
    } catch {
        outcome.rejection = error
        precondition(error.status.code >= 400 && !error.description.isEmpty)
    }
    return outcome
}

/// Cuts bytes at places that depend on nothing but the bytes, so that a failing input fails again.
private func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var state = bytes.reduce(UInt64(bytes.count) &+ 0x9E37_79B9_7F4A_7C15) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    var pieces: [ArraySlice<UInt8>] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let piece = rest.prefix(Int(state >> 59) + 1)
        pieces.append(piece)
        rest = rest[piece.endIndex...]
    }
    return pieces
}

private func check(_ head: RequestHead, _ body: [UInt8]) {
    precondition(head.target.path == "*" || head.target.path.hasPrefix("/"))
    precondition(head.authority != nil || head.version == .http10)
    precondition(body.count <= limits.bodyBytes && head.fields.count <= limits.headerCount)
    precondition(head.framing != .none || body.isEmpty)
    if case .length(let length) = head.framing { precondition(body.count == length) }
    for field in head.fields {
        precondition(!field.value.utf8.contains { $0 == 0 || $0 == 10 || $0 == 13 })
    }
    // What else reads bytes that clients choose.
    _ = AcceptEncoding(head.fields).prefersGzip
    _ = EntityTag.list(head.fields[values: .ifNoneMatch])
    let direct = TrustedProxies.Origin(client: SocketAddress(host: "10.0.0.1", port: 1), scheme: "http", authority: nil)
    _ = proxies.origin(of: head.fields, direct: direct)
}

private let proxies = TrustedProxies(["10.0.0.0/8", "::/0"].compactMap(AddressBlock.init))
