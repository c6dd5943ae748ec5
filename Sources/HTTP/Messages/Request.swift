import HTTPTypes

/// A complete request.
public struct Request: Sendable {
    public var method: HTTPRequest.Method
    /// The path as it was sent, percent-encoded and without the query. `*` for a server-wide OPTIONS.
    public var path: String
    /// The path's parts between slashes, decoded.
    public var pathSegments: [String]
    /// The query's pairs, decoded, in the order sent.
    public var query: [QueryItem]
    /// `http` or `https`.
    public var scheme = "http"
    /// The host that the client named, and the port if it named one. Nil only for HTTP/1.0 clients.
    public var authority: String?
    public var headers: HTTPFields
    /// The whole body, decoded from chunks. Empty if there is none.
    public var body: [UInt8]
    public var remoteAddress = SocketAddress(host: "127.0.0.1", port: 0)
    /// Identifies the request in logs and, as `X-Request-Id`, in the response. It is the client's own if that is usable.
    public var id = "0"
    /// The decoded path segments for the pattern's `{name}`s. Set by ``Router``.
    public var parameters: [String: String] = [:]
    /// The route that was chosen, such as `/v1/jobs/{id}`. Set by ``Router``. It has few values, so it is suitable for metrics.
    public var routePattern: String?
    /// Counts more bytes among the bodies that the server holds, and returns false if they exceed the limit. Nil for a request
    /// that did not arrive over a connection. The bytes are counted for as long as this closure exists.
    var holdBodyBytes: (@Sendable (Int) -> Bool)?

    public init(
        method: HTTPRequest.Method, path: String, pathSegments: [String], query: [QueryItem] = [],
        headers: HTTPFields = [:], body: [UInt8] = []
    ) {
        self.method = method
        self.path = path
        self.pathSegments = pathSegments
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// The value of the first query item of this name, or nil.
    public func query(_ name: String) -> String? {
        query.first { $0.name == name }?.value
    }

    /// Counts memory that the body needs beyond the bytes that were sent, for example when it is decompressed, among the bodies
    /// of all current requests. It is counted until the response is sent or, if the client is gone, until the request is released.
    ///
    /// - Throws: A ``Problem`` with status 503 if the bodies together exceed their limit.
    public func holdMore(_ bytes: Int) throws(Problem) {
        guard bytes > 0, let holdBodyBytes else { return }
        guard holdBodyBytes(bytes) else { throw Problem(RequestRejection.overloaded) }
    }

    /// - Throws: A ``Problem`` with status 500 if the route's pattern has no such name, which is a mistake in the route.
    public func parameter(_ name: String) throws(Problem) -> String {
        guard let value = parameters[name] else {
            throw .internalError(detail: "The route \(routePattern ?? path) has no parameter \"\(name)\".")
        }
        return value
    }
}
