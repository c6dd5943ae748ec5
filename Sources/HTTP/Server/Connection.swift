/// One client's connection: requests in, responses out, one after the other (RFC 9112 section 9).
///
/// The connection lives on its event loop's thread: nothing here blocks, and its state needs no locks. Handlers run
/// elsewhere and come back with their response. A client that is slow, whichever way, costs its buffers and no thread.
///
/// This file has what happens to the connection as a whole; how requests come in and responses go out is in the extensions.
actor Connection: EventHandler {
    nonisolated let token = EventToken.next()
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    enum Phase {
        /// Waiting for a request, or in the middle of one.
        case receiving
        /// The head of a request is looked at, and its body waits.
        case screening(Task<Void, Never>)
        /// A handler is at work.
        case handling(Exchange)
        /// A response is being sent.
        case responding(Exchange)
        /// All is sent, and what the client still sends is dropped. Closing at once would reset the connection, and the
        /// client could lose the response before it has read it (RFC 9112 section 9.6).
        case lingering
        case closed
    }

    nonisolated let environment: ConnectionEnvironment
    nonisolated let peer: SocketAddress
    private let descriptor: Int32
    private var watched: Readiness = [.readable, .peerFinished]
    private let opened = ContinuousClock.now
    private var isDraining = false
    /// Whether the connection is answered that its address has too many.
    private var isRefused = false
    /// Whether the client has yet to be told that nothing more follows.
    private var mustFinishWriting = false
    private var requestsServed = 0

    var transport: Transport?
    var phase = Phase.receiving
    /// When the client has taken too long; while a handler is at work, when the client is probed.
    var deadline: ContinuousClock.Instant?
    var input: InputState
    var output = OutputBuffer()
    /// What the body that is arriving takes of the server's budget, and how much that is.
    var bodyHold: BodyHold?
    var bodyBytesHeld = 0
    /// When a connection that lingers ends, whatever the client does.
    private var lingerEnd: ContinuousClock.Instant?
    /// The stream that waits for the client to take what is buffered.
    var waitingForRoom: CheckedContinuation<Void, any Error>?

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

    /// Starts to listen to the client.
    nonisolated func open() {
        let isWithinLimit = environment.registry.insert(self) || environment.proxies.contains(peer)
        for observer in environment.observers { observer.connectionOpened(from: peer) }
        do {
            try loop.add(self, descriptor: descriptor, interest: [.readable, .peerFinished], ticks: true)
        } catch {
            environment.logger.warning("a connection cannot be watched", metadata: ["error": "\(error)"])
            Task { await self.close() }
        }
        if !isWithinLimit { Task { await self.refuse() } }
    }

    /// Answers a connection that is one too many of its address.
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

    /// Asks to be told what the connection can now use and nothing else: a readiness that is not used up is told for ever.
    func updateInterest() {
        var wanted: Readiness = []
        switch phase {
        case .closed: return
        case .receiving: wanted = readInterest
        case .screening: break
        case .lingering: wanted = mustFinishWriting ? [.readable, .writable] : [.readable, .peerFinished]
        case .handling, .responding: if input.hasRoom { wanted = readInterest }
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

    /// Goes on to the next request after a response is sent, or to the end.
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
            // A client that sends its whole request before it reads would lose the response to an earlier end.
            if let lingerEnd { deadline = min(.now + environment.timeouts.linger, lingerEnd) }
        case .wouldBlock: break
        case .finished, .failed, nil: close()
        }
    }

    /// Whether responses should tell the client that no other follows.
    var mustClose: Bool { isDraining }

    /// Has the connection end with the exchange under way.
    func drain() { isDraining = true }

    /// Makes room for another client where this one has been served and has asked for nothing since.
    func closeIfSpare() {
        if requestsServed > 0 { closeIfIdle() }
    }

    /// Closes the connection where no exchange is under way.
    func closeIfIdle() {
        if case .receiving = phase, input.parser.isIdle, input.pending.isEmpty { close() }
    }

    /// Ends the connection now, cancelling the handler.
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
            // An orderly end, unlike that of a response which is cut off: its client must not take it for whole.
            finishWriting()
        case .lingering: break
        }
        phase = .closed
        deadline = nil
        input.pending = []
        output.removeAll()
        forgetBody()
        waitingForRoom?.resume(throwing: CancellationError())
        waitingForRoom = nil
        loop.remove(self, descriptor: descriptor)
        transport = nil
        let report = ConnectionReport(peer: peer, duration: ContinuousClock.now - opened, requests: requestsServed)
        for observer in environment.observers { observer.connectionClosed(report) }
        environment.registry.remove(self)
    }

    /// Counts no body any more. One that a handler works on is counted until it is done.
    func forgetBody() {
        (bodyHold, bodyBytesHeld) = (nil, 0)
    }

    private func report(_ exchange: Exchange, outcome: RequestReport.Outcome) {
        requestsServed += 1
        let report = exchange.report(outcome)
        for observer in environment.observers { observer.requestFinished(report) }
    }
}
