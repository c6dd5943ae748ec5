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
