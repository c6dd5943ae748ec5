import HTTPTypes
import Logging

/// A request that has been answered or cut off.
///
/// It contains neither the query nor a body, because both can contain text that a user typed.
public struct RequestReport: Sendable, Equatable {
    /// How the response ended.
    public enum Outcome: String, Sendable, CaseIterable {
        /// The kernel has taken the whole response.
        case done
        /// The connection ended earlier: the client went away or was too slow, a stream failed, or the server shut down.
        case aborted
    }

    /// The response's `X-Request-Id`.
    public var identifier: String
    /// Nil if the request was refused before it was parsed.
    public var method: HTTPRequest.Method?
    /// The path as sent. Clients choose it, so metrics use ``routePattern``. Nil if the request was refused before it was parsed.
    public var path: String?
    /// The route that answered, such as `/v1/jobs/{id}`. Nil if none did.
    public var routePattern: String?
    /// Nil if the connection ended before there was a response.
    public var status: HTTPResponse.Status?
    public var outcome: Outcome
    /// The client, which is the one behind trusted proxies if there are any.
    public var remoteAddress: SocketAddress
    /// From the arrival of the complete request to ``outcome``.
    public var duration: Duration
    /// The bytes of the request's head and body, as sent.
    public var bytesReceived: Int
    /// The bytes of the response's head and body that the kernel took, before encryption.
    public var bytesSent: Int
    /// The response's ``Response/annotations``.
    public var annotations: [String: String]
}

/// Receives the events of a server's connections, for metrics, access logs and the like.
///
/// The calls come from the threads that serve the sockets: those of one connection in order, those of different connections
/// concurrently. They must return quickly and never block, because all connections of the thread wait.
public protocol ConnectionObserving: Sendable {
    /// A client has connected. Only its address is known yet.
    func connectionOpened(from peer: SocketAddress)
    /// The connection has ended. Called after its last request's report, and before the server's shutdown returns.
    func connectionClosed(_ report: ConnectionReport)
    /// The kernel has taken the whole response, or the connection ended earlier.
    func requestFinished(_ report: RequestReport)
}

extension ConnectionObserving {
    public func connectionOpened(from peer: SocketAddress) {}
    public func connectionClosed(_ report: ConnectionReport) {}
    public func requestFinished(_ report: RequestReport) {}
}

/// A connection that has ended.
public struct ConnectionReport: Sendable, Equatable {
    /// The address at the other end of the socket, which can be a proxy's.
    public var peer: SocketAddress
    /// From accepting to closing.
    public var duration: Duration
    /// The number of requests, including refused and cut-off ones.
    public var requests: Int
}

/// Logs each request in one line.
public struct RequestLog: ConnectionObserving {
    private let logger: Logger
    private let level: Logger.Level

    public init(logger: Logger, level: Logger.Level = .info) {
        self.logger = logger
        self.level = level
    }

    public func requestFinished(_ report: RequestReport) {
        guard level >= logger.logLevel else { return }
        var metadata: Logger.Metadata = [
            "request": "\(report.identifier)",
            "peer": "\(report.remoteAddress)",
            "method": "\(report.method?.rawValue ?? "-")",
            "path": "\(report.path ?? "-")",
            "status": "\(report.status?.code ?? 0)",
            "bytes": "\(report.bytesSent)",
            "received": "\(report.bytesReceived)",
            "milliseconds": "\(report.duration / .milliseconds(1))",
            "outcome": "\(report.outcome.rawValue)",
        ]
        for (name, value) in report.annotations { metadata[name] = "\(value)" }
        logger.log(level: level, "request", metadata: metadata)
    }
}
