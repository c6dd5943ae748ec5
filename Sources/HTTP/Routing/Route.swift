import HTTPTypes

/// One thing the server does: where it is found, what it is for, and how it is done.
public struct Route: Sendable {
    public typealias Handler = @Sendable (Request) async throws -> Response
    public typealias Screen = @Sendable (Request) async throws -> Void

    public let method: HTTPRequest.Method
    /// A path in which `{name}` stands for any one segment, such as `/v1/jobs/{id}`.
    public let pattern: String
    /// What the route does, in a few words.
    public let summary: String
    /// Throws what a request is refused with whatever its body, which has not come yet. The handler is to refuse it, too: where the
    /// body is small the screen is not asked.
    public let screen: Screen
    /// Answers a request. It may throw a ``Problem``; any other error is logged and answered with status 500.
    public let handler: Handler

    public init(
        _ method: HTTPRequest.Method, _ pattern: String, summary: String, screen: @escaping Screen = { _ in },
        handler: @escaping Handler
    ) {
        self.method = method
        self.pattern = pattern
        self.summary = summary
        self.screen = screen
        self.handler = handler
    }
}
