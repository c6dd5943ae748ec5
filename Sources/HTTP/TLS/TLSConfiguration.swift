import Foundation

/// How a server speaks TLS.
public struct TLSConfiguration: Sendable, Equatable {
    /// The versions a server can insist on. Older ones are never spoken (RFC 8996).
    public enum Version: String, Sendable, CaseIterable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    /// A PEM file with the server's certificate first and then those that lead to its authority, as `fullchain.pem` has
    /// them.
    public var certificateFile: String
    /// A PEM file with the certificate's private key, without a password. It may be the certificate's file.
    public var keyFile: String
    /// The oldest version that is spoken.
    public var minimumVersion: Version

    public init(certificateFile: String, keyFile: String, minimumVersion: Version = .tls12) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.minimumVersion = minimumVersion
    }
}

/// Why a certificate or its key cannot be used.
public enum TLSError: Error, Sendable, Equatable {
    case unreadable(file: String, reason: String)
    case noCertificate(file: String)
    case unusableCertificate(file: String, reason: String)
    case noKey(file: String)
    case encryptedKey(file: String)
    case unusableKey(file: String, reason: String)
    case mismatch(certificateFile: String, keyFile: String)
    /// OpenSSL itself failed, as without memory.
    case unavailable(reason: String)
}

extension TLSError: LocalizedError, CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "\(file): cannot be read (\(reason)): check the path, and that the server's user may read it."
        case .noCertificate(let file):
            "\(file): has no certificate: expected PEM text with \"-----BEGIN CERTIFICATE-----\"."
        case .unusableCertificate(let file, let reason):
            "\(file): a certificate in it cannot be used (\(reason)): have it issued anew, with an RSA key of 2048 bits at "
                + "least or an elliptic one."
        case .noKey(let file):
            "\(file): has no private key: expected PEM text with \"-----BEGIN PRIVATE KEY-----\"."
        case .encryptedKey(let file):
            "\(file): the private key needs a password, and nobody is there to give it: store it without one "
                + "(openssl pkey -in \(file) -out NEW), readable by the server's user alone."
        case .unusableKey(let file, let reason):
            "\(file): the private key cannot be used (\(reason)): expected an RSA or elliptic key in PEM."
        case .mismatch(let certificateFile, let keyFile):
            "\(keyFile): the private key is not that of the first certificate in \(certificateFile): give the two that "
                + "were made together, and put the server's own certificate before those of its authorities."
        case .unavailable(let reason):
            "TLS cannot be used: \(reason)."
        }
    }

    public var errorDescription: String? { description }
}
