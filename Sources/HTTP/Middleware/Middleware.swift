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
        let innermost: HTTPServer.Handler = { await respond(to: $0) }
        return middleware.reversed().reduce(innermost) { handler, layer in layer.wrapping(handler) }
    }
}
