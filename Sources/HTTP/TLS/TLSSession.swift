import COpenSSL
import Glibc

/// The server's side of one TLS connection over a non-blocking socket.
///
/// Every call returns at once, and reports `.wouldBlock` instead of waiting. ``readInterest`` and ``writeInterest`` then name the
/// event to wait for: TLS has messages of its own, so a read can have to write first, and a write to read.
///
/// Invariant: only the thread of the connection that owns the session uses it.
final class TLSSession: @unchecked Sendable {
    /// The most bytes of one record (RFC 8446 section 5.1). A read with this capacity leaves no decrypted bytes in OpenSSL, which
    /// the kernel would not report.
    static let recordLimit = 1 << 14

    enum HandshakeResult: Equatable {
        case finished
        case wouldBlock
        /// The client and the server cannot agree, or the client went away. The reason is OpenSSL's.
        case failed(String)
    }

    private let ssl: OpaquePointer
    /// Keeps alive the method that the connection's BIO uses.
    private let context: TLSContext
    private(set) var isEstablished = false
    /// After a fatal error nothing more can be sent, not even close_notify (SSL_shutdown(3)).
    private var isBroken = false
    private(set) var readInterest: Readiness = .incoming
    private(set) var writeInterest: Readiness = .writable

    fileprivate enum Obstacle {
        case wantsRead, wantsWrite, finished, failed
    }

    init(owning ssl: OpaquePointer, of context: TLSContext) {
        self.ssl = ssl
        self.context = context
    }

    deinit { SSL_free(ssl) }

    func handshake() -> HandshakeResult {
        // SSL_get_error(3) looks into the thread's error queue, where it would find an earlier connection's error. So each call
        // starts with an empty queue.
        ERR_clear_error()
        let status = SSL_do_handshake(ssl)
        if status == 1 {
            isEstablished = true
            readInterest = .incoming
            return .finished
        }
        switch obstacle(status) {
        case .wantsRead: readInterest = .incoming
        case .wantsWrite: readInterest = .writable
        case .finished: return .failed("the client went away")
        case .failed: return .failed(OpenSSLErrors.takeReason())
        }
        return .wouldBlock
    }

    /// Reads the bytes of at most one record.
    func read(upTo capacity: Int) -> Socket.ReadResult {
        var received: Int32 = 0
        ERR_clear_error()
        let bytes = [UInt8](unsafeUninitializedCapacity: max(capacity, Self.recordLimit)) { buffer, count in
            received = SSL_read(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
            count = max(Int(received), 0)
        }
        readInterest = .incoming
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

    /// Writes at most one record. After `.wouldBlock` the same bytes must be written again; more bytes can follow them.
    func write(_ segments: [[UInt8]], skipping offset: Int) -> Socket.WriteResult {
        guard let first = segments.first else { return .wrote(0) }
        writeInterest = .writable
        if segments.count == 1 || first.count - offset >= Self.recordLimit { return write(first[offset...]) }
        // Several small segments are joined into one record, which takes one system call.
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

    /// Sends close_notify (RFC 8446 section 6.1). False if the kernel's buffer is full: call again when the socket is writable.
    func finishWriting() -> Bool {
        guard isEstablished, !isBroken else { return true }
        ERR_clear_error()
        let status = SSL_shutdown(ssl)
        guard status < 0 else { return true }
        return obstacle(status) != .wantsWrite
    }

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
