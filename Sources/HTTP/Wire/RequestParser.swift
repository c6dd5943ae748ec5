/// Reads HTTP/1.1 requests out of a stream of bytes (RFC 9112).
///
/// The parser knows no socket: it receives bytes as they arrive and reports when a request is complete. The same bytes give
/// the same events and the same rejection, no matter how they are split. Where RFC 9112 leaves a choice to the server, the
/// parser takes the stricter reading, because request smuggling depends on leniency.
///
/// Invariant: after a rejection the parser is not used again.
struct RequestParser: Sendable {
    enum Event: Sendable, Equatable {
        /// The header section is complete and a body follows.
        case head(RequestHead)
        /// The request is complete. The parser is ready for the next.
        case request(RequestHead, body: [UInt8])
    }

    private enum State {
        case requestLine
        case fields
        case fixedBody
        case chunkedBody
    }

    /// RFC 9112 section 2.2 tells a server to skip an empty line before a request, as old clients sent one after a body.
    private static let emptyLineLimit = 4
    /// The most bytes of a request line besides its target: the method, two spaces and the version.
    private static let requestLineOverhead = 64

    private let limits: RequestLimits
    private let scheme: String
    private var state = State.requestLine
    private var line = LineReader()
    private var emptyLines = 0
    private var builder: RequestHeadBuilder?
    private var head: RequestHead?
    private var remaining = 0
    private var body: [UInt8] = []
    private var chunks: ChunkedDecoder?

    init(limits: RequestLimits, scheme: String = "http") {
        self.limits = limits.clamped
        self.scheme = scheme
    }

    /// Whether the parser is between requests.
    var isIdle: Bool { state == .requestLine && line.isEmpty }

    var isInBody: Bool { state == .fixedBody || state == .chunkedBody }

    /// The number of body bytes so far, decoded from chunks.
    var bodyBytes: Int { chunks?.body.count ?? body.count }

    /// Consumes bytes up to the next event; nil when the input is used up. Throws at the first byte that cannot be accepted.
    mutating func parse(_ input: inout ArraySlice<UInt8>) throws(RequestRejection) -> Event? {
        while !input.isEmpty {
            let event =
                switch state {
                case .requestLine: try parseRequestLine(&input)
                case .fields: try parseField(&input)
                case .fixedBody: parseFixedBody(&input)
                case .chunkedBody: try parseChunkedBody(&input)
                }
            if let event { return event }
        }
        return nil
    }

    private mutating func parseRequestLine(_ input: inout ArraySlice<UInt8>) throws(RequestRejection) -> Event? {
        let limit = limits.targetBytes + Self.requestLineOverhead
        guard try line.read(&input, limit: limit, orReject: .targetTooLong(limit: limits.targetBytes)) else {
            return nil
        }
        if line.bytes.isEmpty {
            emptyLines += 1
            guard emptyLines <= Self.emptyLineLimit else {
                throw .malformed("The client sent empty lines instead of a request.")
            }
            return nil
        }
        builder = try RequestHeadBuilder(requestLine: line.bytes, scheme: scheme, limits: limits)
        line.reset()
        emptyLines = 0
        state = .fields
        return nil
    }

    private mutating func parseField(_ input: inout ArraySlice<UInt8>) throws(RequestRejection) -> Event? {
        let limit = builder?.meter.remainingBytes ?? 0
        guard try line.read(&input, limit: limit, orReject: .headerTooLarge(limit: limits.headerBytes)) else {
            return nil
        }
        if !line.bytes.isEmpty {
            try builder?.add(line.bytes)
            line.reset()
            return nil
        }
        let complete = try builder?.head()
        builder = nil
        head = complete
        guard let complete else { return nil }
        switch complete.framing {
        case .none, .length(0):
            return finish(body: [])
        case .length(let length):
            remaining = length
            state = .fixedBody
        case .chunked:
            chunks = ChunkedDecoder(limits: limits)
            state = .chunkedBody
        }
        return .head(complete)
    }

    private mutating func parseFixedBody(_ input: inout ArraySlice<UInt8>) -> Event? {
        // Memory grows with the bytes that have arrived, not with the announced length.
        let taken = input.prefix(remaining)
        let length = body.count + remaining
        if body.count + taken.count > body.capacity {
            // The capacity doubles, as that of any array does, but never exceeds the length.
            body.reserveCapacity(min(length, max(body.capacity * 2, body.count + taken.count)))
        }
        body.append(contentsOf: taken)
        input = input[taken.endIndex...]
        remaining -= taken.count
        return remaining == 0 ? finish(body: body) : nil
    }

    private mutating func parseChunkedBody(_ input: inout ArraySlice<UInt8>) throws(RequestRejection) -> Event? {
        guard try chunks?.decode(&input) == true else { return nil }
        return finish(body: chunks?.body ?? [])
    }

    private mutating func finish(body: [UInt8]) -> Event? {
        defer {
            (head, chunks, self.body) = (nil, nil, [])
            state = .requestLine
        }
        return head.map { .request($0, body: body) }
    }
}

/// The reason why a request was refused before it reached a handler.
///
/// After any of these the connection is closed, because it is no longer certain where the next message begins.
enum RequestRejection: Error, Equatable {
    /// The bytes are not a valid request (RFC 9112). The sentence says what was found and what was expected.
    case malformed(String)
    case targetTooLong(limit: Int)
    case headerTooLarge(limit: Int)
    case tooManyFields(limit: Int)
    case bodyTooLarge(limit: Int)
    case unknownExpectation(String)
    /// The request is for a resource of another scheme than the connection's (RFC 9110 section 7.4).
    case misdirected(scheme: String, expected: String)
    /// The request is for a host that this server does not serve.
    case unservedHost(String)
    case unknownTransferCoding(String)
    case tunnel
    case unsupportedVersion(String)
    case timedOut(Phase)
    /// The bodies of all current requests together exceed their limit.
    case overloaded
    /// The body arrived more slowly than others, which needed its memory.
    case displaced
    /// The client's address has more connections than one address is allowed.
    case tooManyConnections(limit: Int)

    /// The part of a request that the server was waiting for.
    enum Phase: Equatable {
        case header, body
    }
}
