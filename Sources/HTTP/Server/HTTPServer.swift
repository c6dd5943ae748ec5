import Foundation
import Logging
import Synchronization

/// An HTTP/1.1 server.
///
///     let router = try Router(routes: routes, logger: logger)
///     let server = HTTPServer(configuration: HTTPServerConfiguration(port: 0), logger: logger, router: router)
///     let addresses = try await server.start()
///     ...
///     await server.shutdown(grace: .seconds(10))
///
/// A few threads serve the sockets and do nothing else. Handlers run as Swift tasks: every request has a task of its own, which
/// is cancelled when its client goes away.
///
/// Log lines identify requests by method and path. Neither queries nor bodies are logged.
public actor HTTPServer {
    private enum State {
        case new
        case running(listeners: [Listener], loops: [EventLoop], tls: TLSContextSource?)
        case stopped
    }

    public nonisolated let configuration: HTTPServerConfiguration
    private let logger: Logger
    private let screen: RequestScreen?
    private let handler: Responder
    private let observers: [any ConnectionObserving]
    private let executor: (any TaskExecutor)?
    private let registry: ConnectionRegistry
    private let bodies: BodyBudget
    private var state = State.new

    /// The addresses on which the server listens, with the port that the kernel chose if the configured one is 0. Empty unless
    /// the server runs.
    public private(set) var addresses: [SocketAddress] = []

    /// - Parameters:
    ///   - observers: Receive the events of connections and requests; nil for a ``RequestLog``.
    ///   - executor: Where handlers run; nil for Swift's own thread pool, which other tasks of the process can block.
    ///   - screen: Refuses requests before their body is read. It is called for large bodies, for bodies of unknown length, and
    ///     before 100 Continue. A small body is read without it, and the handler must refuse the request.
    public init(
        configuration: HTTPServerConfiguration, logger: Logger, observers: [any ConnectionObserving]? = nil,
        executor: (any TaskExecutor)? = nil, screen: RequestScreen? = nil, handler: @escaping Responder
    ) {
        self.configuration = configuration
        self.logger = logger
        self.screen = screen
        self.handler = handler
        self.observers = observers ?? [RequestLog(logger: logger)]
        self.executor = executor
        registry = ConnectionRegistry(
            limit: configuration.maximumConnections, limitPerAddress: configuration.maximumConnectionsPerAddress)
        let timeouts = configuration.timeouts
        let largestBodyRate = Double(configuration.limits.clamped.bodyBytes) / max(timeouts.body / .seconds(1), 0.001)
        bodies = BodyBudget(
            limit: configuration.maximumBodyBytesInFlight,
            safeRate: max(largestBodyRate, Double(timeouts.minimumBodyRate)))
    }

    public init(
        configuration: HTTPServerConfiguration, logger: Logger, observers: [any ConnectionObserving]? = nil,
        executor: (any TaskExecutor)? = nil, router: Router
    ) {
        self.init(
            configuration: configuration, logger: logger, observers: observers, executor: executor,
            screen: { await router.refusal(of: $0) }, handler: { await router.respond(to: $0) })
    }

    /// The number of open connections, including those in a TLS handshake and those that are being closed.
    public nonisolated var openConnections: Int { registry.count }

    nonisolated var bodyBytes: Int { bodies.used }

    /// Binds the addresses and begins to answer.
    ///
    /// - Returns: ``addresses``: one for each address of the host name.
    /// - Throws: ``HTTPServerError``. The server cannot be started again after it.
    @discardableResult
    public func start() throws(HTTPServerError) -> [SocketAddress] {
        guard case .new = state else { throw .alreadyStarted }
        state = .stopped
        let tls = try makeTLS()
        let loops = try makeLoops()
        let listeners = try bind(loops: loops, environment: environments(tls: tls))
        for loop in loops { loop.start() }
        do {
            for listener in listeners { try listener.open() }
        } catch {
            for loop in loops { loop.stop() }
            throw described(error)
        }
        addresses = listeners.map(\.address)
        state = .running(listeners: listeners, loops: loops, tls: tls)
        logger.info("listening", metadata: ["addresses": "\(addresses)", "scheme": "\(tls == nil ? "http" : "https")"])
        return addresses
    }

    private func environments(tls: TLSContextSource?) -> (SocketAddress) -> ConnectionEnvironment {
        let identifiers = RequestIdentifiers()
        let dates = DateCache()
        return { [self] address in
            ConnectionEnvironment(
                limits: configuration.limits, timeouts: configuration.timeouts, tls: tls,
                proxies: configuration.trustedProxies,
                hosts: ServedHosts(configuration.hostNames, host: configuration.host, listeningOn: address),
                screen: screen, handler: handler, executor: executor, logger: logger, observers: observers,
                registry: registry, bodies: bodies, identifiers: identifiers, dates: dates)
        }
    }

    private func makeTLS() throws(HTTPServerError) -> TLSContextSource? {
        guard let settings = configuration.tls else { return nil }
        do {
            let source = try TLSContextSource(settings)
            log(source.current)
            return source
        } catch {
            throw .tls(error)
        }
    }

    /// Reads the certificate and its key again, and uses them for new connections. Open connections keep theirs. Has no effect if
    /// the server does not run, or does not use TLS.
    ///
    /// - Throws: ``TLSError`` if the files cannot be used. The server then continues with the previous certificate.
    public func reloadCertificate() throws(TLSError) {
        guard case .running(_, _, let tls?) = state else { return }
        try tls.reload()
        log(tls.current)
    }

    private func log(_ context: TLSContext) {
        let expiry = context.expiry ?? .distantPast
        let level: Logger.Level = expiry < .now + 7 * 24 * 60 * 60 ? .warning : .info
        logger.log(
            level: level, expiry < .now ? "the certificate has expired: clients will refuse it" : "certificate",
            metadata: [
                "file": "\(configuration.tls?.certificateFile ?? "")", "expires": "\(expiry.formatted(.iso8601))",
            ])
    }

    private func makeLoops() throws(HTTPServerError) -> [EventLoop] {
        do {
            var loops: [EventLoop] = []
            for index in 0..<max(configuration.threads, 1) { loops.append(try EventLoop(name: "http-\(index)")) }
            return loops
        } catch {
            throw described(error)
        }
    }

    /// Binds every address of the host name, all with the same port.
    private func bind(
        loops: [EventLoop], environment: (SocketAddress) -> ConnectionEnvironment
    ) throws(HTTPServerError) -> [Listener] {
        let candidates: [RawSocketAddress]
        do {
            candidates = try RawSocketAddress.resolve(host: configuration.host, port: configuration.port)
        } catch {
            throw .unknownHost(configuration.host, reason: error.reason)
        }
        var listeners: [Listener] = []
        var port = configuration.port
        for (index, candidate) in candidates.enumerated() {
            do {
                let backlog = Int32(clamping: max(configuration.backlog, 1))
                let socket = try Socket.listening(on: candidate.with(port: port), backlog: backlog)
                let address = try socket.localAddress()
                port = address.port
                listeners.append(
                    Listener(
                        socket: socket, address: address, loops: loops, on: loops[0], environment: environment(address))
                )
            } catch {
                // A name can have addresses of a family that this machine does not have; one that works is enough.
                let isLast = index == candidates.count - 1
                guard case .addressNotAvailable = described(error), !(isLast && listeners.isEmpty) else {
                    throw described(error)
                }
            }
        }
        return listeners
    }

    private func described(_ error: SystemError) -> HTTPServerError {
        HTTPServerError(error, host: configuration.host, port: configuration.port)
    }

    /// Stops accepting connections, lets current requests finish, and ends.
    ///
    /// Idle connections are closed at once. Responses that begin from now on have `Connection: close`.
    ///
    /// - Parameter grace: How long requests can take to finish. Those that take longer are cancelled and cut off.
    /// - Returns: The number of connections that were cut off.
    @discardableResult
    public func shutdown(grace: Duration) async -> Int {
        guard case .running(let listeners, let loops, _) = state else { return 0 }
        state = .stopped
        for listener in listeners { await listener.close() }
        addresses = []
        let open = registry.all
        for connection in open { await connection.drain() }
        // Idle connections are closed only after all are draining: once a client sees one connection end, its others answer no
        // more than their current request.
        for connection in open { await connection.closeIfIdle() }
        let deadline = Task.detached { [registry] in
            try await Task.sleep(for: grace)
            let late = registry.all
            for connection in late { await connection.close() }
            return late.count
        }
        await registry.waitUntilEmpty()
        deadline.cancel()
        let late = (try? await deadline.value) ?? 0
        for loop in loops { loop.stop() }
        logger.info("stopped", metadata: ["cutOff": "\(late)"])
        return late
    }
}
