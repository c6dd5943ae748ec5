import HTTP
import HTTPTypes

extension Request {
    /// Answers with a handler, on the condition that If-Match and If-None-Match name (RFC 9110 section 13).
    ///
    /// A safe request is answered first, and the answer says which state the resource is in. Before any other, the state is looked up;
    /// where that fails the request would have, too, so that the lookup's problem is the answer (section 13.2.1).
    ///
    /// - Parameters:
    ///   - handler: Does what the request asks.
    ///   - lookup: Gets what is at the request's path; nil for a path that nothing can be got from.
    /// - Throws: A ``Problem`` with status 412 where the condition is not met, and what the handlers throw.
    func answered(
        with handler: Route.Handler, lookingUpWith lookup: Route.Handler?
    ) async throws -> Response {
        guard headers.contains(.ifMatch) || headers.contains(.ifNoneMatch) else { return try await handler(self) }
        if method == .get || method == .head {
            let response = try await handler(self)
            guard meetsPreconditions(of: response) else { throw Problem.preconditionFailed }
            return response
        }
        let current = try await lookup?(unconditional)
        guard meetsPreconditions(of: current) else { throw Problem.preconditionFailed }
        return try await handler(self)
    }

    /// The request for what is at the same path, whatever its state.
    private var unconditional: Request {
        var request = self
        request.method = .get
        (request.query, request.body) = ([], [])
        for name in [HTTPField.Name.ifMatch, .ifNoneMatch, .accept] { request.headers[name] = nil }
        return request
    }
}
