import CLinux
import Glibc

/// A file descriptor that is closed when its owner is destroyed.
struct Descriptor: ~Copyable, Sendable {
    let rawValue: Int32

    init(owning rawValue: Int32) {
        self.rawValue = rawValue
    }

    deinit {
        // Linux frees the descriptor even when close(2) reports EINTR; a second call could close another one.
        _ = Glibc.close(rawValue)
    }
}

struct SystemError: Error, Equatable, CustomStringConvertible {
    let call: String
    let code: Int32

    /// The error that the call which has just failed left in `errno`.
    static func last(_ call: String) -> SystemError {
        SystemError(call: call, code: errno)
    }

    var description: String {
        "\(call): \(String(cString: strerror(code)))"
    }
}

/// A non-blocking TCP socket, closed when its owner is destroyed.
///
/// Every call returns at once, and reports `.wouldBlock` instead of waiting.
struct Socket: ~Copyable, Sendable {
    private let descriptor: Descriptor

    enum ReadResult: Equatable {
        case bytes([UInt8])
        /// The peer has finished sending.
        case finished
        case wouldBlock
        /// The connection is gone, with its `errno`.
        case failed(Int32)
    }

    enum WriteResult: Equatable {
        case wrote(Int)
        case wouldBlock
        /// The connection is gone, with its `errno`.
        case failed(Int32)
    }

    private init(owning rawValue: Int32) {
        descriptor = Descriptor(owning: rawValue)
    }

    var rawDescriptor: Int32 { descriptor.rawValue }

    // MARK: Data

    func read(upTo capacity: Int) -> ReadResult {
        var received = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            received = Self.retrying { recv(descriptor.rawValue, buffer.baseAddress, buffer.count, 0) }
            count = max(received, 0)
        }
        return Self.result(of: received, bytes: bytes)
    }

    /// Drops at most `capacity` of the bytes that have arrived. `.bytes` in the result is empty.
    func discard(upTo capacity: Int) -> ReadResult {
        // With MSG_TRUNC Linux drops the bytes of a TCP stream in the kernel (tcp(7)) and writes to no memory.
        Self.result(of: Self.retrying { recv(descriptor.rawValue, nil, capacity, Int32(MSG_TRUNC)) }, bytes: [])
    }

    private static func result(of received: Int, bytes: [UInt8]) -> ReadResult {
        if received > 0 { return .bytes(bytes) }
        if received == 0 { return .finished }
        return wouldBlock ? .wouldBlock : .failed(errno)
    }

    private static var wouldBlock: Bool { errno == EAGAIN || errno == EWOULDBLOCK }

    private static func retrying(_ call: () -> Int) -> Int {
        while true {
            let status = call()
            if status >= 0 || errno != EINTR { return status }
        }
    }

    /// Writes as much as the kernel takes with one system call, of at most sixteen segments. `offset` is how much of the first
    /// one was written before.
    func write(_ segments: [[UInt8]], skipping offset: Int) -> WriteResult {
        var vectors: [iovec] = []
        vectors.reserveCapacity(min(segments.count, Self.vectorLimit))
        let sent = gather(segments.prefix(Self.vectorLimit), skipping: offset, into: &vectors) { vectors in
            var message = msghdr()
            message.msg_iovlen = vectors.count
            return vectors.withUnsafeMutableBufferPointer { buffer in
                message.msg_iov = buffer.baseAddress
                // sendmsg is writev with flags; without MSG_NOSIGNAL a reset peer would raise SIGPIPE.
                return Self.retrying { sendmsg(descriptor.rawValue, &message, Int32(MSG_NOSIGNAL)) }
            }
        }
        if sent >= 0 { return .wrote(sent) }
        return Self.wouldBlock ? .wouldBlock : .failed(errno)
    }

    private static let vectorLimit = 16

    /// Nests one pointer scope per segment, so that each pointer is used only while it is valid.
    private func gather(
        _ segments: ArraySlice<[UInt8]>, skipping offset: Int, into vectors: inout [iovec],
        _ body: (inout [iovec]) -> Int
    ) -> Int {
        guard let first = segments.first else { return body(&vectors) }
        return first.withUnsafeBytes { bytes in
            let unsent = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(offset))
            let base = UnsafeMutableRawPointer(mutating: unsent.baseAddress)
            vectors.append(iovec(iov_base: base, iov_len: unsent.count))
            return gather(segments.dropFirst(), skipping: 0, into: &vectors, body)
        }
    }

    /// Ends the sending direction. The peer still receives what was sent, and then the end of the stream.
    func finishWriting() {
        _ = shutdown(descriptor.rawValue, Int32(SHUT_WR))
    }

    // MARK: Listening

    static func listening(on address: RawSocketAddress, backlog: Int32) throws(SystemError) -> Socket {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let rawValue = Glibc.socket(address.family, type, 0)
        guard rawValue >= 0 else { throw .last("socket") }
        let socket = Socket(owning: rawValue)
        // Lets a restarted server bind while old connections are in TIME_WAIT. SO_REUSEPORT is not set: with it, a second
        // server would silently share the port instead of failing because the port is taken.
        socket.enable(SO_REUSEADDR, level: SOL_SOCKET)
        if address.family == AF_INET6, address.socketAddress.host != "::" {
            socket.enable(Int32(IPV6_V6ONLY), level: Int32(IPPROTO_IPV6))
        }
        guard address.withPointer({ Glibc.bind(rawValue, $0, $1) }) == 0 else { throw .last("bind") }
        guard Glibc.listen(rawValue, backlog) == 0 else { throw .last("listen") }
        return socket
    }

    /// The address the socket is bound to; after binding port 0, the port the kernel chose.
    func localAddress() throws(SystemError) -> SocketAddress {
        var address = RawSocketAddress()
        let status = address.withMutablePointer { storage, length in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor.rawValue, $0, length)
            }
        }
        guard status == 0 else { throw .last("getsockname") }
        return address.socketAddress
    }

    /// Takes the next waiting connection, or returns nil when there is none.
    func accept() throws(SystemError) -> AcceptedSocket? {
        var address = RawSocketAddress()
        let rawValue = address.withMutablePointer { tributary_accept(descriptor.rawValue, $0, $1) }
        guard rawValue >= 0 else {
            if Self.wouldBlock { return nil }
            throw .last("accept4")
        }
        let socket = Socket(owning: rawValue)
        // Each response is sent in one write, so waiting to fill a TCP segment would only delay it.
        socket.enable(Int32(TCP_NODELAY), level: Int32(IPPROTO_TCP))
        return AcceptedSocket(socket: socket, peer: address.socketAddress)
    }

    private func enable(_ option: Int32, level: Int32) {
        var on: Int32 = 1
        _ = setsockopt(descriptor.rawValue, level, option, &on, socklen_t(MemoryLayout<Int32>.size))
    }
}

struct AcceptedSocket: ~Copyable, Sendable {
    let socket: Socket
    let peer: SocketAddress
}
