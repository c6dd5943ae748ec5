import HTTPTypes

/// One thing the server does: where it is found, what it is for, and how it is done.
public struct Route: Sendable {
    public typealias Handler = @Sendable (Request) async throws -> Response

    public let method: HTTPRequest.Method
    /// A path in which `{name}` stands for any one segment, such as `/v1/jobs/{id}`.
    public let pattern: String
    /// What the route does, in a few words.
    public let summary: String
    /// Answers a request. It may throw a ``Problem``; any other error is logged and answered with status 500.
    public let handler: Handler

    public init(
        _ method: HTTPRequest.Method, _ pattern: String, summary: String, handler: @escaping Handler
    ) {
        self.method = method
        self.pattern = pattern
        self.summary = summary
        self.handler = handler
    }
}
