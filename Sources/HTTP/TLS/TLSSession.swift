import COpenSSL
import Glibc

/// The server's side of one TLS connection over a non-blocking socket.
///
/// Every call returns at once. What would block says so, and ``readInterest`` and ``writeInterest`` say what to wait for:
/// TLS has messages of its own, so that reading may have to write first, and the other way round.
///
/// It is used by one thread at a time: that of the connection that owns it.
final class TLSSession: @unchecked Sendable {
    /// The most bytes one record holds (RFC 8446 section 5.1). A read with room for as many leaves nothing decrypted behind
    /// in OpenSSL, where the kernel would not tell of it.
    static let recordLimit = 1 << 14

    enum HandshakeResult: Equatable {
        case finished
        case wouldBlock
        /// The client and the server have no way to speak, or the client went away. In OpenSSL's words.
        case failed(String)
    }

    private let ssl: OpaquePointer
    /// Keeps alive what the connection's BIO is made with.
    private let context: TLSContext
    private(set) var isEstablished = false
    /// After a fatal error nothing more may be sent, close_notify included (SSL_shutdown(3)).
    private var isBroken = false
    private(set) var readInterest: Readiness = [.readable, .peerFinished]
    private(set) var writeInterest: Readiness = .writable

    fileprivate enum Obstacle {
        case wantsRead, wantsWrite, finished, failed
    }

    init(owning ssl: OpaquePointer, of context: TLSContext) {
        self.ssl = ssl
        self.context = context
    }

    deinit { SSL_free(ssl) }

    /// Goes on with the handshake, as far as what has arrived allows.
    func handshake() -> HandshakeResult {
        // SSL_get_error(3) looks into the thread's queue: what an earlier connection left there would be taken for this
        // one's. So each call starts with an empty queue.
        ERR_clear_error()
        let status = SSL_do_handshake(ssl)
        if status == 1 {
            isEstablished = true
            readInterest = [.readable, .peerFinished]
            return .finished
        }
        switch obstacle(status) {
        case .wantsRead: readInterest = [.readable, .peerFinished]
        case .wantsWrite: readInterest = .writable
        case .finished: return .failed("the client went away")
        case .failed: return .failed(OpenSSLErrors.takeReason())
        }
        return .wouldBlock
    }

    /// Reads one record's bytes at most.
    func read(upTo capacity: Int) -> Socket.ReadResult {
        var received: Int32 = 0
        ERR_clear_error()
        let bytes = [UInt8](unsafeUninitializedCapacity: max(capacity, Self.recordLimit)) { buffer, count in
            received = SSL_read(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
            count = max(Int(received), 0)
        }
        readInterest = [.readable, .peerFinished]
        if received > 0 { return .bytes(bytes) }
        switch obstacle(received) {
        case .wantsRead: return .wouldBlock
        case .wantsWrite:
            readInterest = .writable
            return .wouldBlock
        case .finished: return .finished
        case .failed: return .failed(EPROTO)
        }
    }

    /// Writes one record at most.
    ///
    /// After `.wouldBlock` the same bytes must be written again, and may be followed by more.
    func write(_ segments: [[UInt8]], skipping offset: Int) -> Socket.WriteResult {
        guard let first = segments.first else { return .wrote(0) }
        writeInterest = .writable
        if segments.count == 1 || first.count - offset >= Self.recordLimit { return write(first[offset...]) }
        // Several small segments make one record and one system call.
        var record = first[offset...]
        for segment in segments.dropFirst() where record.count < Self.recordLimit {
            record += segment.prefix(Self.recordLimit - record.count)
        }
        return write(record)
    }

    private func write(_ bytes: ArraySlice<UInt8>) -> Socket.WriteResult {
        ERR_clear_error()
        let sent = bytes.withUnsafeBytes { SSL_write(ssl, $0.baseAddress, Int32(clamping: $0.count)) }
        if sent > 0 { return .wrote(Int(sent)) }
        switch obstacle(sent) {
        case .wantsWrite: return .wouldBlock
        case .wantsRead:
            writeInterest = .readable
            return .wouldBlock
        case .finished, .failed: return .failed(EPROTO)
        }
    }

    /// Tells the client that nothing more follows (close_notify, RFC 8446 section 6.1).
    ///
    /// - Returns: False where the kernel has no room for it yet: to be called again when it has.
    func finishWriting() -> Bool {
        guard isEstablished, !isBroken else { return true }
        ERR_clear_error()
        let status = SSL_shutdown(ssl)
        guard status < 0 else { return true }
        return obstacle(status) != .wantsWrite
    }

    /// Why a call has not done what it should.
    private func obstacle(_ status: Int32) -> Obstacle {
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN: return .finished
        default:
            isBroken = true
            return .failed
        }
    }
}
