import HTTPTypes

/// Lets pages of other origins read responses (CORS, fetch.spec.whatwg.org section 3.2).
///
/// Only origins that are named are let in; `*` lets in all. Cookies and other credentials that a browser sends by itself
/// are never asked for: a page that has a token sends it in Authorization.
public struct CrossOrigin: Middleware {
    /// Origins as browsers send them, `https://notebook.example`, or `*`.
    public var origins: [String]
    /// Fields that pages may send besides the few that need no permission.
    public var requestFields: [String]
    /// Fields of responses that pages may read besides the few that need no permission.
    public var exposedFields: [String]
    /// The methods that pages may use.
    public var methods: [HTTPRequest.Method]
    /// How long a browser may remember the permission, in seconds.
    public var maximumAge: Int

    public init(
        origins: [String],
        requestFields: [String] = [
            "Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID",
            "Prefer", "X-Request-Id",
        ],
        exposedFields: [String] = ["ETag", "Location", "Retry-After", "X-Request-Id"],
        methods: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete],
        maximumAge: Int = 600
    ) {
        self.origins = origins
        self.requestFields = requestFields
        self.exposedFields = exposedFields
        self.methods = methods
        self.maximumAge = maximumAge
    }

    /// Whether a text is an origin: a scheme, a host and perhaps a port, in small letters and without a path; or `*`.
    public static func isOrigin(_ text: String) -> Bool {
        if text == "*" { return true }
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
            let authority = Array(text.utf8.dropFirst(scheme.utf8.count))[...]
            return Authority(authority) != nil && authority.lowercasedASCII.utf8.elementsEqual(authority)
        }
        return false
    }

    public func wrapping(_ handler: @escaping HTTPServer.Handler) -> HTTPServer.Handler {
        guard !origins.isEmpty else { return handler }
        return { request in
            let allowed = allowedOrigin(of: request)
            if let allowed, isPreflight(request) { return preflight(from: allowed) }
            var response = await handler(request)
            // A cache must not give one origin's permission to another.
            if !origins.contains("*") { response.headers.addVary(.origin) }
            guard let allowed else { return response }
            response.headers[.accessControlAllowOrigin] = allowed
            response.headers[.accessControlExposeHeaders] = Self.list(exposedFields)
            return response
        }
    }

    /// What Access-Control-Allow-Origin says; nil where the request comes from no other origin, or from one not let in.
    private func allowedOrigin(of request: Request) -> String? {
        guard let origin = request.headers[.origin] else { return nil }
        if origins.contains("*") { return "*" }
        return origins.contains(origin) ? origin : nil
    }

    private func isPreflight(_ request: Request) -> Bool {
        request.method == .options && request.headers.contains(.accessControlRequestMethod)
    }

    private func preflight(from allowed: String) -> Response {
        var headers: HTTPFields = [
            .accessControlAllowOrigin: allowed,
            .accessControlAllowMethods: Self.list(methods.map(\.rawValue)),
            .accessControlAllowHeaders: Self.list(requestFields),
            .accessControlMaxAge: String(maximumAge),
        ]
        if allowed != "*" { headers.addVary(.origin) }
        return Response(status: .noContent, headers: headers)
    }

    private static func list(_ names: [String]) -> String { names.joined(separator: ", ") }
}
