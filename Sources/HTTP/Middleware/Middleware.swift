/// Does something to every request or response of a handler: what no route should have to think of.
///
///     let handler = router.handler(within: [CrossOrigin(origins: ["https://notebook.example"]), Compression()])
///
/// The outermost sees the request first and the response last.
public protocol Middleware: Sendable {
    /// A handler that does as `handler` does, and this besides.
    func wrapping(_ handler: @escaping HTTPServer.Handler) -> HTTPServer.Handler
}

extension Router {
    /// The router's handler within some middleware, the first of them outermost.
    public func handler(within middleware: [any Middleware]) -> HTTPServer.Handler {
        Self.wrapping({ await respond(to: $0) }, in: middleware)
    }

    /// ``refusal(of:)`` within some middleware, which does to a refusal what it does to any response.
    public func screen(within middleware: [any Middleware]) -> HTTPServer.Screen {
        { request in
            guard let refusal = await refusal(of: request) else { return nil }
            return await Self.wrapping({ _ in refusal }, in: middleware)(request)
        }
    }

    private static func wrapping(
        _ handler: @escaping HTTPServer.Handler, in middleware: [any Middleware]
    ) -> HTTPServer.Handler {
        middleware.reversed().reduce(handler) { handler, layer in layer.wrapping(handler) }
    }
}
