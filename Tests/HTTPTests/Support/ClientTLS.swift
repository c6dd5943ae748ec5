import COpenSSL
import Foundation

/// The client's side of TLS over a blocking socket.
final class ClientTLS: @unchecked Sendable {
    struct Settings: Sendable {
        /// The protocols that the client offers; if empty, it sends no offer.
        var protocols = ["http/1.1"]
        var maximumVersion = TLS1_3_VERSION
        /// A file of the trusted authorities; nil for no check.
        var authorities: String?
        /// A session to resume.
        var session: Session?
    }

    /// A session that a client can resume.
    final class Session: @unchecked Sendable {
        fileprivate let pointer: OpaquePointer
        fileprivate init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { SSL_SESSION_free(pointer) }
    }

    struct Failure: Error, Equatable {
        let reason: String
    }

    private let ssl: OpaquePointer
    private let context: OpaquePointer
    private let method: OpaquePointer
    /// Whether the server has sent close_notify.
    private(set) var sawEnd = false

    init(descriptor: Int32, settings: Settings) throws {
        guard let context = SSL_CTX_new(TLS_client_method()), let method = tributary_socket_bio_method()
        else {
            throw Failure(reason: "no memory")
        }
        _ = SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(settings.maximumVersion), nil)
        if let authorities = settings.authorities {
            SSL_CTX_load_verify_locations(context, authorities, nil)
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        }
        guard let ssl = SSL_new(context) else { throw Failure(reason: "no memory") }
        (self.context, self.method, self.ssl) = (context, method, ssl)
        let offer = settings.protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        if !offer.isEmpty { SSL_set_alpn_protos(ssl, offer, UInt32(offer.count)) }
        SSL_set1_host(ssl, "localhost")
        if let session = settings.session { SSL_set_session(ssl, session.pointer) }
        guard tributary_ssl_use_socket(ssl, method, descriptor) == 1 else {
            throw Failure(reason: "no memory")
        }
        ERR_clear_error()
        guard SSL_connect(ssl) == 1 else { throw Self.failure() }
    }

    deinit {
        SSL_free(ssl)
        SSL_CTX_free(context)
        BIO_meth_free(method)
    }

    private static func failure() -> Failure {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        return Failure(
            reason: ERR_reason_error_string(code).map { String(cString: $0) } ?? "the connection ended")
    }

    var version: String { String(cString: SSL_get_version(ssl)) }
    var isResumed: Bool { SSL_session_reused(ssl) == 1 }
    var session: Session? { SSL_get1_session(ssl).map(Session.init) }

    var chosenProtocol: String? {
        var bytes: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &bytes, &count)
        return bytes.map {
            String(decoding: UnsafeBufferPointer(start: $0, count: Int(count)), as: UTF8.self)
        }
    }

    /// The common name in the server's certificate.
    var peerName: String? {
        guard let certificate = SSL_get1_peer_certificate(ssl) else { return nil }
        defer { X509_free(certificate) }
        guard let text = X509_NAME_oneline(X509_get_subject_name(certificate), nil, 0) else {
            return nil
        }
        defer { CRYPTO_free(text, nil, 0) }
        return String(cString: text).components(separatedBy: "CN = ").last?.components(
            separatedBy: "/CN="
        ).last
    }

    func send(_ bytes: [UInt8]) throws {
        ERR_clear_error()
        guard bytes.isEmpty || SSL_write(ssl, bytes, Int32(bytes.count)) == bytes.count else {
            throw Self.failure()
        }
    }

    /// At least one byte, or none at the end.
    func receive(upTo capacity: Int) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: capacity)
        ERR_clear_error()
        let count = SSL_read(ssl, &buffer, Int32(capacity))
        if count > 0 { return Array(buffer[..<Int(count)]) }
        switch SSL_get_error(ssl, count) {
        case SSL_ERROR_ZERO_RETURN:
            sawEnd = true
            return []
        case SSL_ERROR_WANT_READ: throw RawClient.Failure.timedOut
        default:
            // OpenSSL 3 reports the end of the stream without close_notify as a protocol error.
            let failure = Self.failure()
            if failure.reason == "unexpected eof while reading" { return [] }
            throw failure
        }
    }
}
