import Foundation
import Glibc
import Logging

extension Authenticator {
    /// The authenticator of a server's configuration.
    ///
    /// - Throws: ``AuthenticationError`` if a token is needed and there is none, or ``TokenFileError``.
    convenience init(_ configuration: Configuration, workspace: URL, logger: Logger) throws {
        let settings = configuration.authentication
        let file = settings.tokensFile.map { URL(fileURLWithPath: $0) } ?? workspace.appending(path: TokenFile.name)
        let isRequired =
            switch settings.required {
            case .always: true
            case .never: false
            case .auto: !configuration.server.isLoopback
            }
        try self.init(file: TokenFile(file), isRequired: isRequired, logger: logger)
        if isRequired, tokenCount == 0 {
            throw AuthenticationError.noTokens(host: configuration.server.host, file: file.path)
        }
        if !isRequired, !configuration.server.isLoopback {
            logger.warning("all who reach this server may use it", metadata: ["host": "\(configuration.server.host)"])
        }
    }
}

/// Why a server cannot be started as it is configured.
public enum AuthenticationError: Error, Equatable, CustomStringConvertible, LocalizedError {
    case noTokens(host: String, file: String)

    public var description: String {
        switch self {
        case .noTokens(let host, let file):
            "a server on \(host) wants a token with each request, and \(file) has none: make one with \"tributary token create\", "
                + "listen on 127.0.0.1, or serve without tokens by --insecure"
        }
    }

    public var errorDescription: String? { description }
}

extension Configuration.Server {
    /// Whether only this machine reaches the address.
    var isLoopback: Bool {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 {
            let words = six.__in6_u.__u6_addr32
            return words.0 == 0 && words.1 == 0 && words.2 == 0 && UInt32(bigEndian: words.3) == 1
        }
        return host.lowercased() == "localhost"
    }
}
