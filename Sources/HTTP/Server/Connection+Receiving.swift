import HTTPTypes

/// The bytes from a client, and how far they are parsed.
struct InputState: Sendable {
    /// The most bytes that are read while an earlier request is being answered.
    private static let readAheadLimit = 64 << 10
    private static let bodyReadSize = 64 << 10
    private static let headReadSize = 16 << 10

    var parser: RequestParser
    var pending: ArraySlice<UInt8> = []
    /// Whether the client has finished sending.
    var hasEnded = false
    /// When the first byte of an incomplete header section arrived.
    var headStarted: ContinuousClock.Instant?
    private var bodyPace: BodyPace?
    var headToScreen: RequestHead?
    private(set) var requestBytes = 0

    init(parser: RequestParser) {
        self.parser = parser
    }

    var hasCapacity: Bool { pending.count < Self.readAheadLimit }

    var readSize: Int { parser.isInBody ? Self.bodyReadSize : Self.headReadSize }

    mutating func append(_ bytes: [UInt8]) {
        if pending.isEmpty { pending = bytes[...] } else { pending += bytes }
    }

    mutating func parse() throws(RequestRejection) -> RequestParser.Event? {
        let (unparsed, bodyBytes) = (pending.count, parser.bodyBytes)
        defer { requestBytes += unparsed - pending.count }
        let event = try parser.parse(&pending)
        // The framing of chunks is not progress, because a client can send any number of bytes of it.
        if parser.isInBody, parser.bodyBytes > bodyBytes { bodyPace?.take(parser.bodyBytes - bodyBytes, at: .now) }
        return event
    }

    mutating func expectBody(by timeouts: HTTPServerConfiguration.Timeouts) {
        bodyPace = BodyPace(account: timeouts.body, rate: timeouts.minimumBodyRate, at: .now)
    }

    mutating func endRequest() {
        (headStarted, bodyPace, headToScreen) = (nil, nil, nil)
    }

    /// The number of bytes of a request that is complete, or refused. Later bytes count for the next one.
    mutating func takeRequestBytes() -> Int {
        defer { requestBytes = 0 }
        return requestBytes
    }

    /// When an incomplete request has taken too long; nil between requests.
    func deadline(by timeouts: HTTPServerConfiguration.Timeouts) -> ContinuousClock.Instant? {
        bodyPace?.deadline ?? headStarted.map { $0 + timeouts.header }
    }
}

extension Connection {
    private static let unscreenedBodyLimit = 16 << 10

    /// Reads once. The event loop reports the remaining bytes again, after it has served other connections.
    func receive() {
        switch transport?.read(upTo: input.readSize) {
        case .bytes(let bytes):
            input.append(bytes)
            advance()
        case .finished:
            // A client can finish sending and still wait for responses, so pending requests are answered.
            input.hasEnded = true
            if case .handling = phase { deadline = .now + environment.timeouts.probe }
            advance()
        case .failed:
            close()
        case .wouldBlock, nil:
            break
        }
    }

    /// Parses up to the next complete request, and starts its handler.
    func advance() {
        while case .receiving = phase, !input.pending.isEmpty {
            do {
                switch try input.parse() {
                case .head(let head): expectBody(of: head)
                case .request(let head, let body): accept(head, body: body)
                case nil: if !hold(input.parser.bodyBytes) { reject(.overloaded) }
                }
            } catch {
                reject(error)
            }
        }
        guard case .receiving = phase else { return }
        // An empty slice still keeps the memory of its array.
        input.pending = []
        if input.hasEnded { return close() }
        if let head = input.headToScreen { return screen(head) }
        if !input.parser.isIdle, input.headStarted == nil { input.headStarted = .now }
        if let limit = input.deadline(by: environment.timeouts) { deadline = limit }
    }

    /// Counts the bytes of a body so far among those of all bodies; false if they exceed the budget.
    private func hold(_ total: Int) -> Bool {
        let more = total - bodyBytesHeld
        guard more > 0 else { return true }
        let now = ContinuousClock.now
        let hold = bodyHold ?? environment.bodies.open(at: now) { [weak self] in Task { await self?.displace() } }
        bodyHold = hold
        bodyBytesHeld = total
        return hold.take(more, at: now)
    }

    private func displace() {
        guard case .receiving = phase, input.parser.isInBody else { return }
        reject(.displaced)
        updateInterest()
    }

    // MARK: Before the body

    private func expectBody(of head: RequestHead) {
        guard isServed(head) else { return }
        input.expectBody(by: environment.timeouts)
        let isLong =
            switch head.framing {
            case .none: false
            case .length(let length): length > Self.unscreenedBodyLimit
            case .chunked: true
            }
        if isLong || head.expectsContinue { input.headToScreen = head }
    }

    /// Refuses a request for a host that the listener does not serve.
    private func isServed(_ head: RequestHead) -> Bool {
        if environment.hosts.contain(head.authority) { return true }
        let problem = Problem(RequestRejection.unservedHost(head.authority ?? ""))
        refuse(head, as: request(of: head, body: []), with: problem.response(path: head.target.path))
        return false
    }

    /// Asks whether a request is refused whatever its body, and reads nothing until that is known.
    private func screen(_ head: RequestHead) {
        input.headToScreen = nil
        guard let screen = environment.screen else { return readBody(of: head) }
        let request = request(of: head, body: [])
        deadline = nil
        phase = .screening(
            Task.detached(executorPreference: environment.executor) {
                let refusal = await screen(request)
                await self.finishScreening(of: head, request, refusal: refusal)
            })
    }

    private func finishScreening(of head: RequestHead, _ request: Request, refusal: Response?) {
        guard case .screening = phase else { return }
        phase = .receiving
        if let refusal { refuse(head, as: request, with: refusal) } else { readBody(of: head) }
        updateInterest()
    }

    private func readBody(of head: RequestHead) {
        // The time for screening does not count against the client.
        input.expectBody(by: environment.timeouts)
        // RFC 9110 section 10.1.1: no 100 is needed if the body has begun to arrive.
        if head.expectsContinue, input.parser.bodyBytes == 0 {
            output.append(Self.continueResponse)
            flush()
        }
        advance()
    }

    /// Answers a request whose body is not read, and ends the connection, because the next request would begin after the body.
    private func refuse(_ head: RequestHead, as request: Request, with response: Response) {
        var response = response
        response.closesConnection = true
        input.pending = []
        start(exchange(for: head, request))
        send(response)
    }

    // MARK: Requests

    private func accept(_ head: RequestHead, body: [UInt8]) {
        guard isServed(head) else { return }
        guard hold(body.count) else { return reject(.overloaded) }
        bodyHold?.complete()
        var request = request(of: head, body: body)
        if let bodyHold { request.holdBodyBytes = { bodyHold.take($0) } }
        var exchange = exchange(for: head, request)
        exchange.bodyHold = bodyHold
        exchange.task = Task.detached(executorPreference: environment.executor) { [request] in
            await self.answer(request)
        }
        start(exchange)
    }

    private func request(of head: RequestHead, body: [UInt8]) -> Request {
        let origin = environment.proxies.origin(
            of: head.fields, direct: .init(client: peer, scheme: environment.scheme, authority: head.authority))
        var request = Request(
            method: head.method, path: head.target.path, pathSegments: head.target.segments, query: head.target.query,
            headers: head.fields, body: body)
        request.scheme = origin.scheme
        request.authority = origin.authority
        request.remoteAddress = origin.client
        request.id = environment.identifiers.identifier(in: head.fields)
        return request
    }

    private func exchange(for head: RequestHead, _ request: Request) -> Exchange {
        Exchange(head, identifier: request.id, client: request.remoteAddress, bytesReceived: input.takeRequestBytes())
    }

    /// Answers bytes that are not an acceptable request, and ends the connection.
    func reject(_ rejection: RequestRejection) {
        input.pending = []
        let identifier = environment.identifiers.next()
        start(Exchange(nil, identifier: identifier, client: peer, bytesReceived: input.takeRequestBytes()))
        send(Problem(rejection).response())
    }

    private func start(_ exchange: Exchange) {
        phase = .handling(exchange)
        deadline = input.hasEnded ? .now + environment.timeouts.probe : nil
        input.endRequest()
        forgetBody()
    }
}
