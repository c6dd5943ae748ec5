/// Changes the requests or responses of all routes alike.
///
///     let handler = router.handler(within: [CrossOrigin(origins: ["https://notebook.example"]), Compression()])
///
/// The outermost middleware receives the request first and the response last.
public protocol Middleware: Sendable {
    func wrapping(_ handler: @escaping Responder) -> Responder
}

extension Router {
    /// The router's handler within middleware, of which the first is the outermost.
    public func handler(within middleware: [any Middleware]) -> Responder {
        Self.wrapping({ await respond(to: $0) }, in: middleware)
    }

    /// ``refusal(of:)`` within middleware, which treats a refusal like any other response.
    public func screen(within middleware: [any Middleware]) -> RequestScreen {
        { request in
            guard let refusal = await refusal(of: request) else { return nil }
            return await Self.wrapping({ _ in refusal }, in: middleware)(request)
        }
    }

    private static func wrapping(_ handler: @escaping Responder, in middleware: [any Middleware]) -> Responder {
        middleware.reversed().reduce(handler) { handler, layer in layer.wrapping(handler) }
    }
}
