import Foundation

/// The certificate and the versions with which a server speaks TLS.
public struct TLSConfiguration: Sendable, Equatable {
    /// The oldest versions that a server can require. Versions before TLS 1.2 are never used (RFC 8996).
    public enum Version: String, Sendable, CaseIterable {
        case tls12 = "1.2"
        case tls13 = "1.3"
    }

    /// A PEM file with the server's certificate and then its chain of intermediate certificates, such as `fullchain.pem`.
    public var certificateFile: String
    /// A PEM file with the certificate's private key, without a password. It can be the certificate's file.
    public var keyFile: String
    public var minimumVersion: Version

    public init(certificateFile: String, keyFile: String, minimumVersion: Version = .tls12) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.minimumVersion = minimumVersion
    }
}

/// The reason why a certificate or its key cannot be used.
public enum TLSError: Error, Sendable, Equatable {
    case unreadable(file: String, reason: String)
    case noCertificate(file: String)
    case unusableCertificate(file: String, reason: String)
    case noKey(file: String)
    case encryptedKey(file: String)
    case unusableKey(file: String, reason: String)
    case mismatch(certificateFile: String, keyFile: String)
    /// OpenSSL itself failed, for example because memory ran out.
    case unavailable(reason: String)
}

extension TLSError: LocalizedError, CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "\(file): cannot be read (\(reason)): check the path, and whether the server's user is allowed to read it."
        case .noCertificate(let file):
            "\(file): has no certificate: expected PEM text with \"-----BEGIN CERTIFICATE-----\"."
        case .unusableCertificate(let file, let reason):
            "\(file): a certificate in it cannot be used (\(reason)): have it issued again, with an RSA key of at least "
                + "2048 bits or an elliptic-curve key."
        case .noKey(let file):
            "\(file): has no private key: expected PEM text with \"-----BEGIN PRIVATE KEY-----\"."
        case .encryptedKey(let file):
            "\(file): the private key needs a password, which nobody can enter: store the key without one "
                + "(openssl pkey -in \(file) -out NEW), in a file that only the server's user can read."
        case .unusableKey(let file, let reason):
            "\(file): the private key cannot be used (\(reason)): expected an RSA or elliptic-curve key in PEM."
        case .mismatch(let certificateFile, let keyFile):
            "\(keyFile): the private key does not belong to the first certificate in \(certificateFile): use the two that "
                + "were made together, and put the server's own certificate before those of its authorities."
        case .unavailable(let reason):
            "TLS cannot be used: \(reason)."
        }
    }

    public var errorDescription: String? { description }
}
