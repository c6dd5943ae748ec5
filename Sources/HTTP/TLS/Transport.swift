/// The bytes of one connection, in the clear or through TLS.
struct Transport: ~Copyable, Sendable {
    private let session: TLSSession?
    private let socket: Socket

    init(_ socket: consuming Socket) {
        self.socket = socket
        session = nil
    }

    init(_ socket: consuming Socket, session: TLSSession) {
        self.socket = socket
        self.session = session
    }

    var rawDescriptor: Int32 { socket.rawDescriptor }

    /// Whether bytes can be exchanged; before that, ``handshake()`` is to be called whenever ``readInterest`` is there.
    var isEstablished: Bool { session?.isEstablished ?? true }

    /// What to wait for before reading on.
    var readInterest: Readiness { session?.readInterest ?? [.readable, .peerFinished] }

    /// What to wait for before writing on.
    var writeInterest: Readiness { session?.writeInterest ?? .writable }

    func handshake() -> TLSSession.HandshakeResult {
        session?.handshake() ?? .finished
    }

    /// Reads what has arrived, about `capacity` bytes at most.
    func read(upTo capacity: Int) -> Socket.ReadResult {
        session?.read(upTo: capacity) ?? socket.read(upTo: capacity)
    }

    /// Writes as much as the kernel takes at once.
    ///
    /// - Parameter offset: How much of the first segment was written before.
    func write(_ segments: [[UInt8]], skipping offset: Int) -> Socket.WriteResult {
        session?.write(segments, skipping: offset) ?? socket.write(segments, skipping: offset)
    }

    /// Drops what has arrived, unread.
    func discard(upTo capacity: Int) -> Socket.ReadResult {
        socket.discard(upTo: capacity)
    }

    /// Says that nothing more will be sent; the peer reads what is under way and then the end.
    ///
    /// - Returns: False where the kernel has no room yet for TLS to say so: to be called again when it has.
    func finishWriting() -> Bool {
        guard session?.finishWriting() ?? true else { return false }
        socket.finishWriting()
        return true
    }
}
