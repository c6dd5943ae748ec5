import HTTPTypes

/// The problems that any HTTP service has. Those of one service's own subject are declared beside its routes.
extension Problem {
    /// No route has the request's path.
    public static func unknownRoute(path: String) -> Problem {
        Problem(
            .unknownRoute, detail: "There is nothing at \(path): check its spelling, and whether it ends with a slash.")
    }

    /// The path has routes, but none with the request's method.
    public static func methodNotAllowed(
        _ method: HTTPRequest.Method, path: String, allowed: [HTTPRequest.Method]
    ) -> Problem {
        let list = allowed.map(\.rawValue).joined(separator: ", ")
        return Problem(
            .methodNotAllowed, detail: "\(path) does not answer \(method.rawValue): use one of \(list).",
            headers: [.allow: list])
    }

    /// A part of the request has a value that cannot be used.
    ///
    /// - Parameter field: The member, query item or header field at fault.
    public static func invalidField(_ field: String, detail: String) -> Problem {
        Problem(.invalidField, detail: detail, field: field)
    }

    /// The resource is not in a state that the request asks for.
    public static let preconditionFailed = Problem(
        .preconditionFailed,
        detail: "The resource is not in a state that If-Match or If-None-Match asks for, and nothing was done: get it "
            + "again, or leave the field out.")

    /// The server failed. The details are in its log, under the request's id, and not in the response.
    public static func internalError(
        detail: String = "The server failed to answer. Its log has the reason under this response's X-Request-Id."
    ) -> Problem {
        Problem(.internalError, detail: detail)
    }

    /// The server cannot answer now.
    ///
    /// - Parameter retryAfter: When to try again, in whole seconds.
    public static func unavailable(detail: String, retryAfter seconds: Int) -> Problem {
        Problem(.unavailable, detail: detail, headers: [.retryAfter: String(seconds)])
    }

    /// The request was refused before it reached a route.
    init(_ rejection: RequestRejection) {
        let kind: ProblemKind =
            switch rejection {
            case .malformed: .malformedRequest
            case .targetTooLong: .targetTooLong
            case .headerTooLarge, .tooManyFields: .headerTooLarge
            case .bodyTooLarge: .bodyTooLarge
            case .unknownExpectation: .unknownExpectation
            case .misdirected, .unservedHost: .misdirectedRequest
            case .unknownTransferCoding: .unknownTransferCoding
            case .tunnel: .noTunnels
            case .unsupportedVersion: .unsupportedVersion
            case .timedOut: .requestTimeout
            case .overloaded, .displaced: .unavailable
            case .tooManyConnections: .tooManyConnections
            }
        let isPassing = kind.status == .serviceUnavailable
        self.init(kind, detail: rejection.description, headers: isPassing ? [.retryAfter: "1"] : [:])
    }
}
