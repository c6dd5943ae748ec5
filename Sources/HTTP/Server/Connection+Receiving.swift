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
    /// By when more of the body must have come, while one is on its way.
    private var bodyPace: BodyPace?
    /// The head of a request that is to be screened before more of its body is read.
    var headToScreen: RequestHead?
    /// The bytes of the request under way that are parsed.
    private(set) var requestBytes = 0

    init(parser: RequestParser) {
        self.parser = parser
    }

    var hasRoom: Bool { pending.count < Self.readAheadLimit }

    var readSize: Int { parser.isInBody ? Self.bodyReadSize : Self.headReadSize }

    mutating func append(_ bytes: [UInt8]) {
        if pending.isEmpty { pending = bytes[...] } else { pending += bytes }
    }

    mutating func parse() throws(RequestRejection) -> RequestParser.Event? {
        let before = (pending.count, parser.bodyBytes)
        defer { requestBytes += before.0 - pending.count }
        let event = try parser.parse(&pending)
        // What frames chunks is no progress: a client may make any number of bytes of it.
        if parser.isInBody, parser.bodyBytes > before.1 { bodyPace?.take(parser.bodyBytes - before.1, at: .now) }
        return event
    }

    /// Waits for a body from now on.
    mutating func expectBody(by timeouts: HTTPServerConfiguration.Timeouts) {
        bodyPace = BodyPace(account: timeouts.body, rate: timeouts.minimumBodyRate, at: .now)
    }

    /// Forgets what was under way of a request that is complete, or refused.
    mutating func endRequest() {
        (headStarted, bodyPace, headToScreen) = (nil, nil, nil)
    }

    /// The bytes of the request that is complete, or refused; those that come belong to the next.
    mutating func takeRequestBytes() -> Int {
        defer { requestBytes = 0 }
        return requestBytes
    }

    /// When a request that is not complete has taken too long; nil between requests.
    func deadline(by timeouts: HTTPServerConfiguration.Timeouts) -> ContinuousClock.Instant? {
        bodyPace?.deadline ?? headStarted.map { $0 + timeouts.header }
    }
}

extension Connection {
    /// The longest body that is read without looking at its request before.
    private static let unscreenedBodyLimit = 16 << 10

    /// Reads what has arrived, once: what is left is reported again, after other connections have had their turn.
    func receive() {
        switch transport?.read(upTo: input.readSize) {
        case .bytes(let bytes):
            input.append(bytes)
            advance()
        case .finished:
            // A client may finish sending and still wait for responses: those to come are sent.
            input.hasEnded = true
            if case .handling = phase { deadline = .now + environment.timeouts.probe }
            advance()
        case .failed:
            close()
        case .wouldBlock, nil:
            break
        }
    }

    /// Parses what has arrived up to the next complete request and has it handled.
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
        // An empty slice still holds on to the memory it was cut from.
        input.pending = []
        if input.hasEnded { return close() }
        if let head = input.headToScreen { return screen(head) }
        if !input.parser.isIdle, input.headStarted == nil { input.headStarted = .now }
        if let limit = input.deadline(by: environment.timeouts) { deadline = limit }
    }

    /// Counts a body's bytes among those that the whole server holds.
    ///
    /// - Parameter total: The bytes so far.
    /// - Returns: False where they do not fit.
    private func hold(_ total: Int) -> Bool {
        let more = total - bodyBytesHeld
        guard more > 0 else { return true }
        let now = ContinuousClock.now
        let hold = bodyHold ?? environment.bodies.open(at: now) { [weak self] in Task { await self?.displace() } }
        bodyHold = hold
        bodyBytesHeld = total
        return hold.take(more, at: now)
    }

    /// Gives up a body that came more slowly than others.
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

    /// Refuses a request for a host that the listener does not answer for.
    private func isServed(_ head: RequestHead) -> Bool {
        if environment.hosts.contain(head.authority) { return true }
        let problem = Problem(RequestRejection.unservedHost(head.authority ?? ""))
        refuse(head, as: request(of: head, body: []), with: problem.response(path: head.target.path))
        return false
    }

    /// Asks whether a request is refused whatever its body, and reads nothing of it meanwhile.
    private func screen(_ head: RequestHead) {
        input.headToScreen = nil
        guard let screen = environment.screen else { return wait(for: head) }
        let request = request(of: head, body: [])
        deadline = nil
        phase = .screening(
            Task.detached(executorPreference: environment.executor) {
                let refusal = await screen(request)
                await self.finishScreening(head, request, refusal)
            })
    }

    private func finishScreening(_ head: RequestHead, _ request: Request, _ refusal: Response?) {
        guard case .screening = phase else { return }
        phase = .receiving
        if let refusal { refuse(head, as: request, with: refusal) } else { wait(for: head) }
        updateInterest()
    }

    /// Has the client send the body of a request.
    private func wait(for head: RequestHead) {
        // The time in which nothing was read is not the client's.
        input.expectBody(by: environment.timeouts)
        // RFC 9110 section 10.1.1: no 100 is needed where the body has begun to arrive.
        if head.expectsContinue, input.parser.bodyBytes == 0 {
            output.append(Self.continueResponse)
            flush()
        }
        advance()
    }

    /// Answers a request whose body is not read, and ends: where the next request begins would only be known at the body's end.
    private func refuse(_ head: RequestHead, as request: Request, with response: Response) {
        var response = response
        response.closesConnection = true
        input.pending = []
        start(
            Exchange(
                head, identifier: request.id, client: request.remoteAddress, bytesReceived: input.takeRequestBytes()))
        send(response)
    }

    // MARK: Requests

    private func accept(_ head: RequestHead, body: [UInt8]) {
        guard isServed(head) else { return }
        guard hold(body.count) else { return reject(.overloaded) }
        bodyHold?.complete()
        var request = request(of: head, body: body)
        request.bodyHold = bodyHold
        begin(head, request)
    }

    private func request(of head: RequestHead, body: [UInt8]) -> Request {
        let origin = environment.proxies.origin(
            of: head.fields, direct: .init(client: peer, scheme: environment.scheme, authority: head.authority))
        return Request(
            method: head.method, path: head.target.path, pathSegments: head.target.segments, query: head.target.query,
            scheme: origin.scheme, authority: origin.authority, headers: head.fields, body: body,
            remoteAddress: origin.client, id: environment.identifiers.identifier(in: head.fields))
    }

    private func begin(_ head: RequestHead, _ request: Request) {
        var exchange = Exchange(
            head, identifier: request.id, client: request.remoteAddress, bytesReceived: input.takeRequestBytes())
        exchange.bodyHold = request.bodyHold
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
        deadline = input.hasEnded ? .now + environment.timeouts.probe : nil
        input.endRequest()
        forgetBody()
    }
}
