/// Reads and writes the bytes of one connection, in the clear or through TLS.
struct Transport: ~Copyable, Sendable {
    private let session: TLSSession?
    private let socket: Socket

    init(_ socket: consuming Socket, session: TLSSession? = nil) {
        self.socket = socket
        self.session = session
    }

    var rawDescriptor: Int32 { socket.rawDescriptor }

    /// Whether bytes can be exchanged. Until then, call ``handshake()`` whenever the event in ``readInterest`` occurs.
    var isEstablished: Bool { session?.isEstablished ?? true }

    var readInterest: Readiness { session?.readInterest ?? .incoming }
    var writeInterest: Readiness { session?.writeInterest ?? .writable }

    func handshake() -> TLSSession.HandshakeResult {
        session?.handshake() ?? .finished
    }

    /// Reads the bytes that have arrived: in the clear at most `capacity`, through TLS at most one record.
    func read(upTo capacity: Int) -> Socket.ReadResult {
        session?.read(upTo: capacity) ?? socket.read(upTo: capacity)
    }

    func write(_ segments: [[UInt8]], skipping offset: Int) -> Socket.WriteResult {
        session?.write(segments, skipping: offset) ?? socket.write(segments, skipping: offset)
    }

    /// Drops bytes that have arrived, without decrypting them.
    func discard(upTo capacity: Int) -> Socket.ReadResult {
        socket.discard(upTo: capacity)
    }

    /// False if the kernel's buffer has no space for TLS's last message: call again when the socket is writable.
    func finishWriting() -> Bool {
        guard session?.finishWriting() ?? true else { return false }
        socket.finishWriting()
        return true
    }
}
