import Foundation
import Glibc

/// The addresses, limits and timeouts of a server.
public struct HTTPServerConfiguration: Sendable, Equatable {
    /// A host name, an IPv4 or an IPv6 address. `0.0.0.0` and `::` mean all addresses of the machine.
    public var host: String
    /// The port; 0 for any free port.
    public var port: UInt16
    /// The number of threads that read and write sockets. Handlers run elsewhere.
    public var threads = max(1, min(4, ProcessInfo.processInfo.activeProcessorCount / 2))
    /// The most connections at a time. Further ones wait in the kernel's queue until one closes.
    public var maximumConnections = 4096
    /// The most connections that wait in the kernel's queue.
    public var backlog = 1024
    /// The most connections at a time from one address; 0 for no such limit. Further ones are answered with 503. Trusted proxies
    /// are exempt, because many clients connect through them.
    public var maximumConnectionsPerAddress = 0
    /// The reverse proxies whose X-Forwarded-For, -Proto and -Host fields are trusted.
    public var trustedProxies = TrustedProxies()
    /// The names that the server serves. A server on a loopback address serves these, localhost and the loopback addresses, so
    /// that no web page can reach it under a name of its own. A server on another address serves these and any address; if no
    /// names are configured, it serves every host. Requests for other hosts are answered with 421.
    public var hostNames: [HostName] = []
    /// The certificate and key; nil if the server does not use TLS.
    public var tls: TLSConfiguration?
    public var limits = RequestLimits()
    /// The most bytes that the bodies of all current requests can have together. When they exceed it, the slowest bodies are refused
    /// if they would not arrive within ``Timeouts/body`` at their rate; otherwise the body with the excess bytes is refused. Both
    /// are answered with 503.
    public var maximumBodyBytesInFlight = 256 << 20
    public var timeouts = Timeouts()

    /// How long the server waits for a client.
    public struct Timeouts: Sendable, Equatable {
        /// For a complete header section from a request's first byte, and for the first byte of a new connection.
        public var header = Duration.seconds(10)
        /// How long a client can be silent in a body, and how far it can fall behind ``minimumBodyRate``.
        public var body = Duration.seconds(30)
        /// A body that stays below this rate, in bytes per second, is refused.
        public var minimumBodyRate = 1024
        /// For the next request on a connection that has served one.
        public var idle = Duration.seconds(60)
        /// For the client to receive some bytes of a response.
        public var write = Duration.seconds(30)
        /// For the client to close the connection after the last response, or to send more bytes.
        public var linger = Duration.seconds(2)
        /// How long a handler works for a client that has finished sending before an interim response probes whether the client
        /// still waits.
        public var probe = Duration.seconds(1)

        public init() {}
    }

    public init(host: String = "127.0.0.1", port: UInt16 = 8080) {
        self.host = host
        self.port = port
    }
}

/// The reason why a server could not start.
public enum HTTPServerError: Error, Sendable, Equatable {
    case addressInUse(host: String, port: UInt16)
    case permissionDenied(host: String, port: UInt16)
    case unknownHost(String, reason: String)
    case addressNotAvailable(host: String)
    case alreadyStarted
    case tls(TLSError)
    /// Any other failed system call, with its `errno`.
    case system(call: String, code: Int32)

    init(_ error: SystemError, host: String, port: UInt16) {
        self =
            switch error.code {
            case EADDRINUSE: .addressInUse(host: host, port: port)
            case EACCES, EPERM: .permissionDenied(host: host, port: port)
            case EADDRNOTAVAIL, EAFNOSUPPORT: .addressNotAvailable(host: host)
            default: .system(call: error.call, code: error.code)
            }
    }
}

extension HTTPServerError: LocalizedError, CustomStringConvertible {
    public var description: String {
        switch self {
        case .addressInUse(let host, let port):
            "Port \(port) on \(host) is taken by another process: stop that process or choose another port."
        case .permissionDenied(let host, let port):
            "Listening on port \(port) of \(host) is not permitted: choose a port from 1024 upwards, or give the process "
                + "the capability CAP_NET_BIND_SERVICE."
        case .unknownHost(let host, let reason):
            "The host \"\(host)\" cannot be resolved (\(reason)): give an address of this machine, or 0.0.0.0 for all."
        case .addressNotAvailable(let host):
            "The host \"\(host)\" is not an address of this machine: give one that is, or 0.0.0.0 for all."
        case .alreadyStarted:
            "The server has been started before: make a new one."
        case .tls(let error):
            error.description
        case .system(let call, let code):
            "The server cannot start: \(SystemError(call: call, code: code))."
        }
    }

    public var errorDescription: String? { description }
}
