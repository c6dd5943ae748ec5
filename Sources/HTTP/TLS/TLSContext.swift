import COpenSSL
import Foundation
import Synchronization

/// The OpenSSL context of all connections that are accepted with one certificate.
///
/// TLS 1.2 is restricted to cipher suites with forward secrecy and authenticated encryption; TLS 1.3 has no others.
/// Renegotiation, compression and early data are off. Sessions are resumed by tickets, whose keys live as long as the context.
///
/// OpenSSL's contexts count their references, and can be used from any thread once they are set up.
final class TLSContext: @unchecked Sendable {
    let expiry: Date?
    private let context: OpaquePointer
    /// The functions with which connections of this context read and write their sockets.
    private let socketMethod: OpaquePointer

    init(_ configuration: TLSConfiguration) throws(TLSError) {
        let credentials = try TLSCredentials(configuration)
        guard let context = SSL_CTX_new(TLS_server_method()) else {
            throw .unavailable(reason: OpenSSLErrors.takeReason())
        }
        guard let socketMethod = tributary_socket_bio_method() else {
            SSL_CTX_free(context)
            throw .unavailable(reason: OpenSSLErrors.takeReason())
        }
        // From here on, deinit frees both.
        (self.context, self.socketMethod) = (context, socketMethod)
        expiry = credentials.expiry
        let minimum =
            switch configuration.minimumVersion {
            case .tls12: TLS1_2_VERSION
            case .tls13: TLS1_3_VERSION
            }
        guard tributary_ctx_prepare(context, minimum) == 1 else {
            throw .unavailable(reason: OpenSSLErrors.takeReason())
        }
        try credentials.install(in: context)
    }

    deinit {
        SSL_CTX_free(context)
        BIO_meth_free(socketMethod)
    }

    /// Nil if memory runs out. The descriptor is a connected, non-blocking socket, which must outlive the session.
    func session(descriptor: Int32) -> TLSSession? {
        guard let ssl = SSL_new(context) else { return nil }
        guard tributary_ssl_use_socket(ssl, socketMethod, descriptor) == 1 else {
            SSL_free(ssl)
            return nil
        }
        SSL_set_accept_state(ssl)
        return TLSSession(owning: ssl, of: self)
    }
}

/// OpenSSL's error queue. Every thread has one.
enum OpenSSLErrors {
    /// The reason of the latest failed call. Empties the queue.
    static func takeReason() -> String {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard let reason = ERR_reason_error_string(code) else { return "OpenSSL error \(code)" }
        return String(cString: reason)
    }
}

/// The context for new connections, which can be replaced while the server runs.
///
/// A connection keeps the context that it began with.
final class TLSContextSource: Sendable {
    private let configuration: TLSConfiguration
    private let latest: Mutex<TLSContext>

    init(_ configuration: TLSConfiguration) throws(TLSError) {
        self.configuration = configuration
        latest = Mutex(try TLSContext(configuration))
    }

    var current: TLSContext { latest.withLock { $0 } }

    /// Reads the files again. If they cannot be used, the current context stays.
    func reload() throws(TLSError) {
        let context = try TLSContext(configuration)
        latest.withLock { $0 = context }
    }
}
