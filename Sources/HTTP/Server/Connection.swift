/// One client's connection, which answers requests one after the other (RFC 9112 section 9).
///
/// The connection runs on its event loop's thread: its code never blocks, and its state needs no locks. Handlers run
/// elsewhere and return their response to it. A client that sends or receives slowly occupies its buffers, but no thread.
actor Connection: EventHandler {
    nonisolated let token = EventToken.next()
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    enum Phase {
        /// Waiting for a request, or in the middle of one.
        case receiving
        /// The screen looks at the head of a request, and the body is not read.
        case screening(Task<Void, Never>)
        case handling(Exchange)
        case responding(Exchange)
        /// Everything is sent, and bytes that still arrive are dropped. Closing at once would reset the connection, and the
        /// client could lose the response before it has read it (RFC 9112 section 9.6).
        case lingering
        case closed
    }

    nonisolated let environment: ConnectionEnvironment
    nonisolated let peer: SocketAddress
    private let descriptor: Int32
    private var watched = Readiness.incoming
    private let opened = ContinuousClock.now
    /// Whether the connection ends with the current exchange.
    private(set) var isDraining = false
    /// Whether the connection exceeds the limit of its address, and is refused.
    private var isRefused = false
    private var mustFinishWriting = false
    private var requestsServed = 0

    var transport: Transport?
    var phase = Phase.receiving
    /// The time from which the client has taken too long or, while a handler is running, at which the client is probed.
    var deadline: ContinuousClock.Instant?
    var input: InputState
    var output = OutputBuffer()
    /// The arriving body's share of the server's budget, and its size.
    var bodyHold: BodyHold?
    var bodyBytesHeld = 0
    /// When lingering ends, whatever the client does.
    private var lingerEnd: ContinuousClock.Instant?
    /// The stream that waits until the client has received buffered bytes.
    var waitingStream: CheckedContinuation<Void, any Error>?

    init(
        _ transport: consuming Transport, peer: SocketAddress, loop: EventLoop, environment: ConnectionEnvironment
    ) {
        descriptor = transport.rawDescriptor
        self.transport = consume transport
        self.peer = peer
        self.loop = loop
        self.environment = environment
        input = InputState(parser: RequestParser(limits: environment.limits, scheme: environment.scheme))
        deadline = .now + environment.timeouts.header
    }

    nonisolated func open() {
        let isWithinLimit = environment.registry.insert(self) || environment.proxies.contains(peer)
        for observer in environment.observers { observer.connectionOpened(from: peer) }
        do {
            try loop.add(self, descriptor: descriptor, interest: .incoming, ticks: true)
        } catch {
            environment.logger.warning("a connection cannot be watched", metadata: ["error": "\(error)"])
            Task { await self.close() }
        }
        if !isWithinLimit { Task { await self.refuse() } }
    }

    private func refuse() {
        guard case .receiving = phase else { return }
        isRefused = true
        if transport?.isEstablished == true {
            reject(.tooManyConnections(limit: environment.registry.limitPerAddress))
            updateInterest()
        }
    }

    // MARK: Events

    func ready(_ readiness: Readiness) {
        if case .lingering = phase {
            if mustFinishWriting { finishWriting() }
            discard()
        } else if !readiness.isDisjoint(with: .hungUp) {
            close()
        } else if transport?.isEstablished == false {
            shakeHands()
        } else {
            let mayRead = !readiness.isDisjoint(with: readInterest)
            let mayWrite = !readiness.isDisjoint(with: writeInterest)
            if mayWrite { flush() }
            if mayRead { receive() }
        }
        updateInterest()
    }

    private var readInterest: Readiness { transport?.readInterest ?? [] }
    private var writeInterest: Readiness { transport?.writeInterest ?? [] }

    private func shakeHands() {
        switch transport?.handshake() {
        case .finished:
            deadline = .now + environment.timeouts.header
            if isRefused { refuse() } else { receive() }
        case .failed(let reason):
            environment.logger.debug("a TLS handshake failed", metadata: ["peer": "\(peer)", "reason": "\(reason)"])
            close()
        case .wouldBlock, nil: break
        }
    }

    func tick(now: ContinuousClock.Instant) {
        guard let deadline, now >= deadline else { return }
        switch phase {
        case .receiving where input.parser.isIdle: close()
        case .receiving: reject(.timedOut(input.parser.isInBody ? .body : .header))
        case .screening: break
        case .handling(let exchange):
            self.deadline = nil
            probe(exchange)
        case .responding, .lingering, .closed: close()
        }
        updateInterest()
    }

    /// Watches for the events that the connection can use now, and no others: an event that is not used is reported without end.
    func updateInterest() {
        var wanted: Readiness = []
        switch phase {
        case .closed: return
        case .receiving: wanted = readInterest
        case .screening: break
        case .lingering: wanted = mustFinishWriting ? [.readable, .writable] : .incoming
        case .handling, .responding: if input.hasCapacity { wanted = readInterest }
        }
        if input.hasEnded { wanted = [] }
        if !output.isEmpty { wanted.formUnion(writeInterest) }
        guard wanted != watched else { return }
        do {
            try loop.modify(self, descriptor: descriptor, interest: wanted)
            watched = wanted
        } catch {
            close()
        }
    }

    // MARK: Ends

    /// Continues with the next request after a response is sent, or ends the connection.
    func finish(_ exchange: Exchange) {
        report(exchange, outcome: .done)
        exchange.bodyHold?.release()
        guard exchange.keepsAlive, !isDraining else { return linger() }
        phase = .receiving
        deadline = .now + environment.timeouts.idle
        advance()
    }

    private func linger() {
        guard !input.hasEnded else { return close() }
        finishWriting()
        input = InputState(parser: RequestParser(limits: environment.limits))
        phase = .lingering
        let now = ContinuousClock.now
        deadline = now + environment.timeouts.linger
        lingerEnd = now + max(environment.timeouts.linger, environment.timeouts.body)
    }

    private func finishWriting() {
        mustFinishWriting = transport?.finishWriting() == false
    }

    private func discard() {
        switch transport?.discard(upTo: 1 << 20) {
        case .bytes:
            // A client that sends its whole request before it reads would lose the response if the connection ended now.
            if let lingerEnd { deadline = min(.now + environment.timeouts.linger, lingerEnd) }
        case .wouldBlock: break
        case .finished, .failed, nil: close()
        }
    }

    func drain() { isDraining = true }

    /// Closes the connection if it has served a request and the client has sent nothing since.
    func closeIfSpare() {
        if requestsServed > 0 { closeIfIdle() }
    }

    func closeIfIdle() {
        if case .receiving = phase, input.parser.isIdle, input.pending.isEmpty { close() }
    }

    /// Ends the connection now, and cancels the handler.
    func close() {
        switch phase {
        case .closed: return
        case .handling(let exchange), .responding(let exchange):
            exchange.task?.cancel()
            report(exchange, outcome: .aborted)
        case .screening(let task):
            task.cancel()
            finishWriting()
        case .receiving:
            // This end is orderly. A response that is cut off has no such end, so that its client does not take it for complete.
            finishWriting()
        case .lingering: break
        }
        phase = .closed
        deadline = nil
        input.pending = []
        output = OutputBuffer()
        forgetBody()
        waitingStream?.resume(throwing: CancellationError())
        waitingStream = nil
        loop.remove(self, descriptor: descriptor)
        transport = nil
        let report = ConnectionReport(peer: peer, duration: ContinuousClock.now - opened, requests: requestsServed)
        for observer in environment.observers { observer.connectionClosed(report) }
        environment.registry.remove(self)
    }

    /// Forgets the arriving body. The body of an exchange is counted until the exchange is finished.
    func forgetBody() {
        (bodyHold, bodyBytesHeld) = (nil, 0)
    }

    private func report(_ exchange: Exchange, outcome: RequestReport.Outcome) {
        requestsServed += 1
        let report = exchange.ended(outcome)
        for observer in environment.observers { observer.requestFinished(report) }
    }
}
