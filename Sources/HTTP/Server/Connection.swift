import Logging

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
    private var isDraining = false
    private var hasServed = false

    var socket: Socket?
    var phase = Phase.receiving
    /// When the client has taken too long. Nil while a handler is at work.
    var deadline: ContinuousClock.Instant?
    var input: InputState
    var output = OutputBuffer()
    /// What the request under way has taken of the server's budget for bodies.
    var bodyBytesHeld = 0
    /// The stream that waits for the client to take what is buffered.
    var waitingForRoom: CheckedContinuation<Void, any Error>?

    init(socket: consuming Socket, peer: SocketAddress, loop: EventLoop, environment: ConnectionEnvironment) {
        descriptor = socket.rawDescriptor
        self.socket = consume socket
        self.peer = peer
        self.loop = loop
        self.environment = environment
        input = InputState(parser: RequestParser(limits: environment.limits, scheme: environment.scheme))
        deadline = .now + environment.timeouts.header
    }

    /// Starts to listen to the client.
    nonisolated func open() {
        environment.registry.insert(self)
        do {
            try loop.add(self, descriptor: descriptor, interest: [.readable, .peerFinished], ticks: true)
        } catch {
            environment.logger.warning("a connection cannot be watched", metadata: ["error": "\(error)"])
            environment.registry.remove(self)
        }
    }

    // MARK: Events

    func ready(_ readiness: Readiness) {
        if case .lingering = phase {
            discard()
        } else if !readiness.isDisjoint(with: .hungUp) {
            close()
        } else {
            if readiness.contains(.writable) { flush() }
            if !readiness.isDisjoint(with: [.readable, .peerFinished]) { receive() }
        }
        updateInterest()
    }

    func tick(now: ContinuousClock.Instant) {
        guard let deadline, now >= deadline else { return }
        switch phase {
        case .receiving where input.parser.isIdle: close()
        case .receiving: reject(.timedOut(input.parser.isInBody ? .body : .header))
        case .handling: break
        case .responding, .lingering, .closed: close()
        }
        updateInterest()
    }

    /// Asks to be told what the connection can now use and nothing else: a readiness that is not used up is told for ever.
    func updateInterest() {
        var wanted: Readiness = []
        switch phase {
        case .closed: return
        case .receiving, .lingering: wanted = [.readable, .peerFinished]
        case .handling, .responding: if input.hasRoom { wanted = [.readable, .peerFinished] }
        }
        if input.hasEnded { wanted = [] }
        if !output.isEmpty { wanted.insert(.writable) }
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
        log(exchange, outcome: "done")
        releaseBody()
        hasServed = true
        guard exchange.keepsAlive, !isDraining else { return linger() }
        phase = .receiving
        deadline = .now + environment.timeouts.idle
        advance()
    }

    private func linger() {
        guard !input.hasEnded else { return close() }
        socket?.finishWriting()
        input = InputState(parser: RequestParser(limits: environment.limits))
        phase = .lingering
        deadline = .now + environment.timeouts.linger
    }

    private func discard() {
        switch socket?.discard(upTo: 1 << 20) {
        case .bytes, .wouldBlock: break
        case .finished, .failed, nil: close()
        }
    }

    /// Whether responses should tell the client that no other follows.
    var mustClose: Bool { isDraining }

    /// Lets the exchange under way finish and then closes; at once where there is none.
    func drain() {
        isDraining = true
        closeIfIdle()
    }

    /// Makes room for another client where this one has been served and has asked for nothing since.
    func closeIfSpare() {
        if hasServed { closeIfIdle() }
    }

    private func closeIfIdle() {
        if case .receiving = phase, input.parser.isIdle, input.pending.isEmpty { close() }
    }

    /// Ends the connection now, cancelling the handler.
    func close() {
        switch phase {
        case .closed: return
        case .handling(let exchange), .responding(let exchange):
            exchange.task?.cancel()
            log(exchange, outcome: "aborted")
        case .receiving, .lingering: break
        }
        phase = .closed
        deadline = nil
        input.pending = []
        output.removeAll()
        releaseBody()
        waitingForRoom?.resume(throwing: CancellationError())
        waitingForRoom = nil
        loop.remove(self, descriptor: descriptor)
        socket = nil
        environment.registry.remove(self)
    }

    private func releaseBody() {
        guard bodyBytesHeld > 0 else { return }
        environment.bodies.give(bodyBytesHeld)
        bodyBytesHeld = 0
    }

    private func log(_ exchange: Exchange, outcome: String) {
        environment.logger.info(
            "request",
            metadata: [
                "request": "\(exchange.context.identifier)",
                "peer": "\(peer)",
                "method": "\(exchange.method?.rawValue ?? "-")",
                "path": "\(exchange.path ?? "-")",
                "status": "\(exchange.status?.code ?? 0)",
                "bytes": "\(exchange.bytesSent)",
                "milliseconds": "\((ContinuousClock.now - exchange.started) / .milliseconds(1))",
                "outcome": "\(outcome)",
            ])
    }
}
