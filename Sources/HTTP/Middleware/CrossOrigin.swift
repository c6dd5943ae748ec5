import HTTPTypes

/// Lets pages of other origins read responses (CORS, fetch.spec.whatwg.org section 3.2).
///
/// Only the named origins are allowed; `*` allows all. Cookies and other credentials that a browser sends by itself are never
/// allowed: a page that has a token sends it in Authorization.
public struct CrossOrigin: Middleware {
    /// Origins as browsers send them, such as `https://notebook.example`, or `*`.
    public var origins: [String]

    private static let methods = "GET, HEAD, POST, PUT, PATCH, DELETE"
    /// Fields that pages can send besides the few that need no permission.
    private static let requestFields =
        "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Prefer, X-Request-Id"
    /// Response fields that pages can read besides the few that need no permission.
    private static let exposedFields =
        "Content-Location, ETag, Idempotent-Replayed, Location, Preference-Applied, Retry-After, X-Request-Id"
    /// How long a browser can remember the permission, in seconds.
    private static let maximumAge = "600"

    public init(origins: [String]) {
        self.origins = origins
    }

    /// Whether a text is an origin: a scheme, a host and optionally a port, in lower case and without a path; or `*`.
    public static func isOrigin(_ text: String) -> Bool {
        if text == "*" { return true }
        for scheme in ["https://", "http://"] where text.hasPrefix(scheme) {
            let authority = Array(text.utf8.dropFirst(scheme.utf8.count))[...]
            return Authority(authority) != nil && authority.lowercasedASCII.utf8.elementsEqual(authority)
        }
        return false
    }

    public func wrapping(_ handler: @escaping Responder) -> Responder {
        guard !origins.isEmpty else { return handler }
        return { request in
            let allowed = allowedOrigin(of: request)
            if let allowed, isPreflight(request) { return preflight(from: allowed) }
            var response = await handler(request)
            // A cache must not reuse one origin's permission for another.
            if !origins.contains("*") { response.headers.addVary(.origin) }
            guard let allowed else { return response }
            response.headers[.accessControlAllowOrigin] = allowed
            response.headers[.accessControlExposeHeaders] = Self.exposedFields
            return response
        }
    }

    /// The value of Access-Control-Allow-Origin. Nil if the request does not come from another origin, or that is not allowed.
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
            .accessControlAllowMethods: Self.methods,
            .accessControlAllowHeaders: Self.requestFields,
            .accessControlMaxAge: Self.maximumAge,
        ]
        if allowed != "*" { headers.addVary(.origin) }
        return Response(status: .noContent, headers: headers)
    }
}
