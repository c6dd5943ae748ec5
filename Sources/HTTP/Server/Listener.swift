import Glibc
import Logging
import Synchronization

/// Accepts connections on one listening socket and hands them to the event loops in turn.
actor Listener: EventHandler {
    nonisolated let token = EventToken.next()
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// How long accepting pauses when the limit of connections is reached, or no descriptor or memory is available.
    private static let recovery: Duration = .milliseconds(100)
    /// The most connections accepted before other sockets are served.
    private static let acceptLimit = 64

    nonisolated let address: SocketAddress
    private var socket: Socket?
    private let descriptor: Int32
    private let loops: [EventLoop]
    private let environment: ConnectionEnvironment
    private var nextLoop = 0
    private var isPaused = false
    private var lastWarning: ContinuousClock.Instant?

    init(
        socket: consuming Socket, address: SocketAddress, loops: [EventLoop], on loop: EventLoop,
        environment: ConnectionEnvironment
    ) {
        self.address = address
        descriptor = socket.rawDescriptor
        self.socket = consume socket
        self.loop = loop
        self.loops = loops
        self.environment = environment
    }

    nonisolated func open() throws(SystemError) {
        try loop.add(self, descriptor: descriptor, interest: .readable, ticks: false)
    }

    func close() {
        guard socket != nil else { return }
        loop.remove(self, descriptor: descriptor)
        socket = nil
    }

    func ready(_ readiness: Readiness) {
        guard environment.registry.hasCapacity else { return waitForCapacity() }
        for _ in 0..<Self.acceptLimit where environment.registry.hasCapacity {
            do {
                guard let accepted = try socket?.accept() else { return }
                open(accepted)
            } catch {
                // Other errors are temporary, such as a client that gave up while it waited (accept(2)).
                guard [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.code) else { continue }
                warn(error)
                return pause()
            }
        }
    }

    /// Closes connections that wait for a next request, and accepts again as soon as any connection has closed.
    private func waitForCapacity() {
        let registry = environment.registry
        registry.whenOneCloses(token: token) { Task.detached { await self.resume() } }
        pause()
        Task.detached { for connection in registry.all { await connection.closeIfSpare() } }
    }

    func tick(now: ContinuousClock.Instant) {}

    private func open(_ accepted: consuming AcceptedSocket) {
        let peer = accepted.peer
        guard let transport = transport(over: accepted.socket) else { return }
        let connection = Connection(transport, peer: peer, loop: loops[nextLoop], environment: environment)
        nextLoop = (nextLoop + 1) % loops.count
        connection.open()
    }

    /// The transport of a new connection; nil if there is no memory for TLS.
    private func transport(over socket: consuming Socket) -> Transport? {
        guard let tls = environment.tls else { return Transport(socket) }
        guard let session = tls.current.session(descriptor: socket.rawDescriptor) else { return nil }
        return Transport(socket, session: session)
    }

    /// Leaves connections in the kernel's queue for a short while.
    private func pause() {
        isPaused = true
        try? loop.modify(self, descriptor: descriptor, interest: [])
        Task.detached {
            try await Task.sleep(for: Self.recovery)
            await self.resume()
        }
    }

    func resume() {
        guard isPaused, socket != nil else { return }
        isPaused = false
        try? loop.modify(self, descriptor: descriptor, interest: .readable)
    }

    private func warn(_ error: SystemError) {
        let now = ContinuousClock.now
        if let lastWarning, now - lastWarning < .seconds(5) { return }
        lastWarning = now
        environment.logger.warning(
            "no connection can be accepted; is the limit on open files too low?", metadata: ["error": "\(error)"])
    }
}

/// What all connections of a listener share.
struct ConnectionEnvironment: Sendable {
    let limits: RequestLimits
    let timeouts: HTTPServerConfiguration.Timeouts
    let tls: TLSContextSource?
    let proxies: TrustedProxies
    let hosts: ServedHosts
    let screen: RequestScreen?
    let handler: Responder
    let executor: (any TaskExecutor)?
    let logger: Logger
    let observers: [any ConnectionObserving]
    let registry: ConnectionRegistry
    let bodies: BodyBudget
    let identifiers: RequestIdentifiers
    let dates: DateCache

    var scheme: String { tls == nil ? "http" : "https" }
}

final class ConnectionRegistry: Sendable {
    private struct State {
        var connections: [UInt64: Connection] = [:]
        /// The number of connections from each address, if that is limited.
        var countsByHost: [String: Int] = [:]
        var waitingForCapacity: [UInt64: @Sendable () -> Void] = [:]
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let limit: Int
    let limitPerAddress: Int
    private let state = Mutex(State())

    /// - Parameter limitPerAddress: The most connections from one address; 0 for no such limit.
    init(limit: Int, limitPerAddress: Int = 0) {
        self.limit = max(limit, 1)
        self.limitPerAddress = max(limitPerAddress, 0)
    }

    var count: Int { state.withLock { $0.connections.count } }

    var all: [Connection] { state.withLock { Array($0.connections.values) } }

    var hasCapacity: Bool { count < limit }

    /// Calls `notify` once, from any thread, when a connection has closed. A later call with the same token replaces this one.
    func whenOneCloses(token: UInt64, notify: @escaping @Sendable () -> Void) {
        state.withLock { $0.waitingForCapacity[token] = notify }
    }

    /// False if the connection's address now has more connections than it is allowed.
    func insert(_ connection: Connection) -> Bool {
        state.withLock { state in
            state.connections[connection.token] = connection
            guard limitPerAddress > 0 else { return true }
            state.countsByHost[connection.peer.host, default: 0] += 1
            return state.countsByHost[connection.peer.host, default: 0] <= limitPerAddress
        }
    }

    func remove(_ connection: Connection) {
        let (waitingForCapacity, waitingForEnd) = state.withLock { state in
            let wasThere = state.connections.removeValue(forKey: connection.token) != nil
            if limitPerAddress > 0, wasThere, let count = state.countsByHost[connection.peer.host] {
                state.countsByHost[connection.peer.host] = count > 1 ? count - 1 : nil
            }
            var ended: [CheckedContinuation<Void, Never>] = []
            if state.connections.isEmpty { swap(&ended, &state.waitingForEnd) }
            defer { state.waitingForCapacity = [:] }
            return (state.waitingForCapacity.values, ended)
        }
        for notify in waitingForCapacity { notify() }
        for continuation in waitingForEnd { continuation.resume() }
    }

    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                guard !state.connections.isEmpty else { return true }
                state.waitingForEnd.append(continuation)
                return false
            }
            if isEmpty { continuation.resume() }
        }
    }
}
