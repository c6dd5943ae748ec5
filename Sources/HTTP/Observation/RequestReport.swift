import HTTPTypes

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
