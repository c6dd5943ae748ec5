import HTTPTypes

/// A complete request, as handlers see it.
public struct Request: Sendable {
    public var method: HTTPRequest.Method
    /// The path as it was sent, percent-encoded and without the query. `*` for a server-wide OPTIONS.
    public var path: String
    /// The path's parts between slashes, decoded.
    public var pathSegments: [String]
    /// The query's pairs, decoded, in the order sent.
    public var query: [QueryItem]
    /// `http` or `https`.
    public var scheme: String
    /// The host the client asked for, and the port where it said one. Nil only from HTTP/1.0 clients.
    public var authority: String?
    public var headers: HTTPFields
    /// The whole body, decoded from chunks. Empty where there is none.
    public var body: [UInt8]
    public var remoteAddress: SocketAddress
    /// Names the request in logs and, as `X-Request-Id`, in the response. The client's own where it sent a usable one.
    public var id: String
    /// What stands in the place of the pattern's `{name}`s, decoded. Filled in by ``Router``.
    public var parameters: [String: String] = [:]
    /// The route that was chosen, such as `/v1/jobs/{id}`. Filled in by ``Router``; its values are few, so that it suits
    /// metrics.
    public var routePattern: String?
    /// Counts the body among those that the server holds; nil for a request that came over no connection.
    var bodyHold: BodyHold?

    public init(
        method: HTTPRequest.Method, path: String, pathSegments: [String], query: [QueryItem] = [],
        scheme: String = "http", authority: String? = nil, headers: HTTPFields = [:], body: [UInt8] = [],
        remoteAddress: SocketAddress = SocketAddress(host: "127.0.0.1", port: 0), id: String = "0"
    ) {
        self.method = method
        self.path = path
        self.pathSegments = pathSegments
        self.query = query
        self.scheme = scheme
        self.authority = authority
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
        self.id = id
    }

    /// The value of the first query item of a name, or nil.
    public func query(_ name: String) -> String? {
        query.first { $0.name == name }?.value
    }

    /// Counts memory that the body takes beyond what was sent, as when it is decompressed, among the bodies of all requests under way.
    /// It is counted until the response is sent or, where the client is gone, until nobody refers to the request.
    ///
    /// - Throws: A ``Problem`` with status 503 where they are together over their limit.
    public func holdMore(_ bytes: Int) throws(Problem) {
        guard bytes > 0, let bodyHold else { return }
        guard bodyHold.take(bytes) else { throw Problem(RequestRejection.overloaded) }
    }

    /// What stands in the place of a pattern's `{name}`.
    ///
    /// - Throws: A ``Problem`` with status 500 where the route's pattern has no such name, which is a mistake in the route.
    public func parameter(_ name: String) throws(Problem) -> String {
        guard let value = parameters[name] else {
            throw .internalError(detail: "The route \(routePattern ?? path) has no parameter \"\(name)\".")
        }
        return value
    }
}

/// One `name=value` of a query. A name without `=` has an empty value.
public struct QueryItem: Sendable, Hashable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}
