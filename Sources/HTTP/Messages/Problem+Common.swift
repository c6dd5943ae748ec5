import HTTPTypes

/// The problems that any HTTP service has. Those of one service's own subject are declared beside its routes.
extension Problem {
    /// No route has the request's path.
    public static func unknownRoute(path: String) -> Problem {
        Problem(
            type: "/problems/unknown-route", title: "Unknown route", status: .notFound,
            detail: "There is nothing at \(path): check the path for spelling and a slash at the end.")
    }

    /// The path has routes, but none with the request's method.
    public static func methodNotAllowed(
        _ method: HTTPRequest.Method, path: String, allowed: [HTTPRequest.Method]
    ) -> Problem {
        let list = allowed.map(\.rawValue).joined(separator: ", ")
        return Problem(
            type: "/problems/method-not-allowed", title: "Method not allowed", status: .methodNotAllowed,
            detail: "\(path) does not answer \(method.rawValue): use one of \(list).", headers: [.allow: list])
    }

    /// A part of the request has a value that cannot be used.
    ///
    /// - Parameter field: The member, query item or header field at fault.
    public static func invalidField(_ field: String, detail: String) -> Problem {
        Problem(
            type: "/problems/invalid-field", title: "Invalid field", status: .badRequest, detail: detail, field: field)
    }

    /// The server failed. The details are in its log, under the request's id, and not in the response.
    public static func internalError(
        detail: String = "The server failed to answer: its log has the reason under this response's X-Request-Id."
    ) -> Problem {
        Problem(
            type: "/problems/internal-error", title: "Internal error", status: .internalServerError, detail: detail)
    }

    /// The server cannot answer now.
    ///
    /// - Parameter retryAfter: When to try again, in whole seconds.
    public static func unavailable(detail: String, retryAfter seconds: Int) -> Problem {
        Problem(
            type: "/problems/unavailable", title: "Unavailable", status: .serviceUnavailable, detail: detail,
            headers: [.retryAfter: String(seconds)])
    }

    /// The request was refused before it reached a route.
    init(_ rejection: RequestRejection) {
        let (slug, title) =
            switch rejection {
            case .malformed: ("malformed-request", "Malformed request")
            case .targetTooLong: ("target-too-long", "Request target too long")
            case .headerTooLarge, .tooManyFields: ("header-too-large", "Header section too large")
            case .bodyTooLarge: ("body-too-large", "Body too large")
            case .unknownExpectation: ("unknown-expectation", "Unknown expectation")
            case .misdirected: ("misdirected-request", "Misdirected request")
            case .unknownTransferCoding: ("unknown-transfer-coding", "Unknown transfer coding")
            case .tunnel: ("no-tunnels", "No tunnels")
            case .unsupportedVersion: ("unsupported-version", "Unsupported HTTP version")
            case .timedOut: ("request-timeout", "Request timeout")
            case .overloaded: ("unavailable", "Unavailable")
            case .tooManyConnections: ("too-many-connections", "Too many connections")
            }
        let isPassing = rejection.status == .serviceUnavailable
        self.init(
            type: "/problems/\(slug)", title: title, status: rejection.status, detail: rejection.description,
            headers: isPassing ? [.retryAfter: "1"] : [:])
    }
}
