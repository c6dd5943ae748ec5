import Glibc
import Logging

/// Accepts connections on one listening socket and hands them to the event loops in turn.
actor Listener: EventHandler {
    nonisolated let token = EventToken.next()
    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// How long to wait before accepting again when the process has run out of descriptors or memory.
    private static let recovery: Duration = .milliseconds(100)
    /// Connections accepted before other sockets have their turn.
    private static let batch = 64

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
        for _ in 0..<Self.batch {
            guard hasRoom() else { return pause() }
            do {
                guard let accepted = try socket?.accept() else { return }
                hand(accepted)
            } catch {
                guard [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.code) else {
                    // The client gave up while it waited, or another passing condition (accept(2), "Error handling").
                    continue
                }
                warn(error)
                pause()
                Task.detached {
                    try await Task.sleep(for: Self.recovery)
                    await self.resume()
                }
                return
            }
        }
    }

    func tick(now: ContinuousClock.Instant) {}

    private func hand(_ accepted: consuming AcceptedSocket) {
        let peer = accepted.peer
        let connection = Connection(
            socket: accepted.socket, peer: peer, loop: loops[nextLoop], environment: environment)
        nextLoop = (nextLoop + 1) % loops.count
        connection.open()
    }

    /// Whether the limit on connections lets another one in. Where it does not, connections that wait for a next request
    /// are asked to make room, and accepting goes on when one of any kind has closed.
    private func hasRoom() -> Bool {
        let registry = environment.registry
        if registry.hasRoom(orLater: { Task.detached { await self.resume() } }) { return true }
        Task.detached { for connection in registry.all { await connection.closeIfSpare() } }
        return false
    }

    /// Leaves connections in the kernel's queue for now.
    private func pause() {
        isPaused = true
        try? loop.modify(self, descriptor: descriptor, interest: [])
    }

    /// Accepts again after a pause.
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
