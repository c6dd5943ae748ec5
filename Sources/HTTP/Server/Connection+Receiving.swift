import HTTPTypes

/// How far the bytes from a client have come.
struct InputState: Sendable {
    /// Bytes read ahead of the request being answered before reading stops.
    private static let readAheadLimit = 64 << 10
    /// Bytes asked of the kernel at once, within a body and elsewhere.
    private static let bodyReadSize = 64 << 10
    private static let headReadSize = 16 << 10

    var parser: RequestParser
    /// What has arrived and is not parsed yet.
    var pending: ArraySlice<UInt8> = []
    /// Whether the client has finished sending.
    var hasEnded = false
    /// When the first byte of a header section came, while it is not complete.
    var headStarted: ContinuousClock.Instant?
    /// When the header section was complete, while its body is not.
    var bodyStarted: ContinuousClock.Instant?
    /// The bytes of that body so far, as sent.
    var bodyBytes = 0
    /// The bytes of the request under way that are parsed.
    private(set) var requestBytes = 0

    init(parser: RequestParser) {
        self.parser = parser
    }

    var hasRoom: Bool { pending.count < Self.readAheadLimit }

    var readSize: Int { parser.isInBody ? Self.bodyReadSize : Self.headReadSize }

    mutating func append(_ bytes: [UInt8]) {
        if parser.isInBody { bodyBytes += bytes.count }
        if pending.isEmpty { pending = bytes[...] } else { pending += bytes }
    }

    mutating func parse() throws(RequestRejection) -> RequestParser.Event? {
        let before = pending.count
        defer { requestBytes += before - pending.count }
        return try parser.parse(&pending)
    }

    /// The bytes of the request that is complete, or refused; those that come belong to the next.
    mutating func takeRequestBytes() -> Int {
        defer { requestBytes = 0 }
        return requestBytes
    }

    /// When a request that is not complete has taken too long; nil between requests.
    func deadline(by timeouts: HTTPServerConfiguration.Timeouts) -> ContinuousClock.Instant? {
        if let bodyStarted {
            // A limit on the whole would refuse long bodies over slow lines; a limit on pauses would let a byte a minute
            // hold the connection. A least rate does neither.
            return bodyStarted + timeouts.body + .seconds(bodyBytes / max(timeouts.minimumBodyRate, 1))
        }
        return headStarted.map { $0 + timeouts.header }
    }
}

extension Connection {
    /// Reads what has arrived, once: what is left is reported again, after other connections have had their turn.
    func receive() {
        switch transport?.read(upTo: input.readSize) {
        case .bytes(let bytes):
            guard !input.parser.isInBody || hold(bytes.count) else { return reject(.overloaded) }
            input.append(bytes)
            advance()
        case .finished:
            // A client may finish sending and still wait for responses: those to come are sent.
            input.hasEnded = true
            advance()
        case .failed:
            close()
        case .wouldBlock, nil:
            break
        }
    }

    /// Counts bytes of a body among those that the whole server holds.
    private func hold(_ bytes: Int) -> Bool {
        guard environment.bodies.take(bytes) else { return false }
        bodyBytesHeld += bytes
        return true
    }

    /// Parses what has arrived up to the next complete request and has it handled.
    func advance() {
        while case .receiving = phase, !input.pending.isEmpty {
            do {
                switch try input.parse() {
                case .head(let head): expectBody(of: head)
                case .request(let head, let body): begin(head, body: body)
                case nil: break
                }
            } catch {
                reject(error)
            }
        }
        guard case .receiving = phase else { return }
        // An empty slice still holds on to the memory it was cut from.
        input.pending = []
        if input.hasEnded { return close() }
        if !input.parser.isIdle, input.headStarted == nil { input.headStarted = .now }
        if let limit = input.deadline(by: environment.timeouts) { deadline = limit }
    }

    private func expectBody(of head: RequestHead) {
        input.bodyStarted = .now
        input.bodyBytes = input.pending.count
        // RFC 9110 section 10.1.1: no 100 is needed where the body has begun to arrive.
        guard head.expectsContinue, input.pending.isEmpty else { return }
        output.append(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
        flush()
    }

    private func begin(_ head: RequestHead, body: [UInt8]) {
        let identifier = environment.identifiers.identifier(in: head.fields)
        let origin = environment.proxies.origin(
            of: head.fields, direct: .init(client: peer, scheme: environment.scheme, authority: head.authority))
        let request = Request(
            method: head.method, path: head.target.path, pathSegments: head.target.segments, query: head.target.query,
            scheme: origin.scheme, authority: origin.authority, headers: head.fields, body: body,
            remoteAddress: origin.client, id: identifier)
        var exchange = Exchange(
            head, identifier: identifier, client: request.remoteAddress, bytesReceived: input.takeRequestBytes())
        exchange.task = Task.detached(executorPreference: environment.executor) { await self.answer(request) }
        start(exchange)
    }

    /// Answers what is not an acceptable request, and ends.
    func reject(_ rejection: RequestRejection) {
        input.pending = []
        start(
            Exchange(
                rejectedAs: environment.identifiers.next(), client: peer, bytesReceived: input.takeRequestBytes()))
        send(Problem(rejection).response())
    }

    private func start(_ exchange: Exchange) {
        phase = .handling(exchange)
        deadline = nil
        input.headStarted = nil
        input.bodyStarted = nil
    }
}
