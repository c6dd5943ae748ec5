import HTTPTypes
import Logging

/// One request and what came of it.
///
/// Neither the query nor a body is in it, as both may hold what a user typed.
public struct RequestReport: Sendable, Equatable {
    /// How the response ended.
    public enum Outcome: String, Sendable, CaseIterable {
        /// The kernel has taken all of the response.
        case done
        /// The connection ended before that: the client went away or was too slow, a stream failed, or the server closed.
        case aborted
    }

    /// The same as in the response's `X-Request-Id`.
    public var identifier: String
    /// Nil where the request was refused before it was understood.
    public var method: HTTPRequest.Method?
    /// The path as sent. Clients choose it: for metrics, take ``routePattern``. Nil where the request was not understood.
    public var path: String?
    /// The route that answered, such as `/v1/jobs/{id}`. Nil where none did.
    public var routePattern: String?
    /// Nil where the connection ended before there was a response.
    public var status: HTTPResponse.Status?
    public var outcome: Outcome
    /// The client: as far as trusted proxies tell, the one behind them.
    public var remoteAddress: SocketAddress
    /// From the whole request's arrival to ``outcome``.
    public var duration: Duration
    /// The request's bytes: head and body, as sent.
    public var bytesReceived: Int
    /// The response's bytes that the kernel took: head and body, before encryption.
    public var bytesSent: Int
    /// What the handler noted on its ``Response/annotations``.
    public var annotations: [String: String]

    public init(
        identifier: String, method: HTTPRequest.Method? = nil, path: String? = nil, routePattern: String? = nil,
        status: HTTPResponse.Status? = nil, outcome: Outcome = .done, remoteAddress: SocketAddress, duration: Duration,
        bytesReceived: Int = 0, bytesSent: Int = 0, annotations: [String: String] = [:]
    ) {
        self.identifier = identifier
        self.method = method
        self.path = path
        self.routePattern = routePattern
        self.status = status
        self.outcome = outcome
        self.remoteAddress = remoteAddress
        self.duration = duration
        self.bytesReceived = bytesReceived
        self.bytesSent = bytesSent
        self.annotations = annotations
    }
}

/// Is told what happens on a server's connections: for metrics, access logs, and whatever else watches.
///
/// The calls come from the threads that serve the sockets, one connection's in order and different connections' at once.
/// They must return quickly and never block: everyone on that thread waits.
public protocol ConnectionObserving: Sendable {
    /// A client has connected. Nothing is known yet but its address.
    func connectionOpened(from peer: SocketAddress)
    /// The connection has ended. Comes after its last request's report, and before the server's shutdown is over.
    func connectionClosed(_ report: ConnectionReport)
    /// A response has been handed to the kernel whole, or was cut off.
    func requestFinished(_ report: RequestReport)
}

extension ConnectionObserving {
    public func connectionOpened(from peer: SocketAddress) {}
    public func connectionClosed(_ report: ConnectionReport) {}
    public func requestFinished(_ report: RequestReport) {}
}

/// One connection, once it is over.
public struct ConnectionReport: Sendable, Equatable {
    /// Who was at the other end of the socket: the proxy's address where there is one.
    public var peer: SocketAddress
    /// From accepting to closing.
    public var duration: Duration
    /// Requests answered on it, those refused or cut off included.
    public var requests: Int
}

/// Writes a line of log for each request.
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
