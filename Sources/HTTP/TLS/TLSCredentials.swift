import COpenSSL
import Foundation

/// A certificate, its chain of intermediate certificates, and its private key, read from PEM files.
struct TLSCredentials: ~Copyable {
    private let configuration: TLSConfiguration
    /// The server's own certificate, and then its chain.
    private var certificates: [OpaquePointer] = []
    private var key: OpaquePointer?

    init(_ configuration: TLSConfiguration) throws(TLSError) {
        self.configuration = configuration
        let certificateBytes = try Self.read(configuration.certificateFile)
        let keyBytes = try Self.read(configuration.keyFile)
        ERR_clear_error()
        try readCertificates(certificateBytes)
        try readKey(keyBytes)
        guard let own = certificates.first, X509_check_private_key(own, key) == 1 else {
            ERR_clear_error()
            throw .mismatch(certificateFile: configuration.certificateFile, keyFile: configuration.keyFile)
        }
    }

    deinit {
        for certificate in certificates { X509_free(certificate) }
        EVP_PKEY_free(key)
    }

    private static func read(_ file: String) throws(TLSError) -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(fileURLWithPath: file)))
        } catch {
            throw .unreadable(file: file, reason: error.localizedDescription)
        }
    }

    private mutating func readCertificates(_ pem: [UInt8]) throws(TLSError) {
        let file = configuration.certificateFile
        var found: [OpaquePointer] = []
        Self.withBIO(pem) { bio in
            while let certificate = tributary_read_certificate(bio) { found.append(certificate) }
        }
        certificates = found
        let isAtEnd = tributary_is_end_of_pem(ERR_peek_last_error()) == 1
        let reason = OpenSSLErrors.takeReason()
        guard isAtEnd else { throw .unusableCertificate(file: file, reason: reason) }
        guard !certificates.isEmpty else { throw .noCertificate(file: file) }
    }

    private mutating func readKey(_ pem: [UInt8]) throws(TLSError) {
        let file = configuration.keyFile
        var isEncrypted: Int32 = 0
        var found: OpaquePointer?
        Self.withBIO(pem) { found = tributary_read_key($0, &isEncrypted) }
        key = found
        guard found == nil else { return }
        let reason = OpenSSLErrors.takeReason()
        if isEncrypted == 1 { throw .encryptedKey(file: file) }
        // OpenSSL reports the same error for a missing key and for one that it cannot read.
        let hasKey = String(decoding: pem, as: UTF8.self).contains("PRIVATE KEY-----")
        throw hasKey ? .unusableKey(file: file, reason: reason) : .noKey(file: file)
    }

    private static func withBIO(_ bytes: [UInt8], _ body: (OpaquePointer) -> Void) {
        bytes.withUnsafeBytes { buffer in
            // OpenSSL counts in 32 bits, which is enough for any PEM file.
            guard let bio = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count)) else { return }
            defer { BIO_free(bio) }
            body(bio)
        }
    }

    var expiry: Date? {
        var time = tm()
        guard let own = certificates.first, ASN1_TIME_to_tm(X509_get0_notAfter(own), &time) == 1 else { return nil }
        return Date(timeIntervalSince1970: TimeInterval(timegm(&time)))
    }

    func install(in context: OpaquePointer) throws(TLSError) {
        ERR_clear_error()
        for (index, certificate) in certificates.enumerated() {
            let isTaken =
                index == 0
                ? SSL_CTX_use_certificate(context, certificate) == 1
                : tributary_ctx_add_chain(context, certificate) == 1
            guard isTaken else {
                throw .unusableCertificate(
                    file: configuration.certificateFile, reason: OpenSSLErrors.takeReason())
            }
        }
        guard SSL_CTX_use_PrivateKey(context, key) == 1 else {
            throw .unusableKey(file: configuration.keyFile, reason: OpenSSLErrors.takeReason())
        }
    }
}
