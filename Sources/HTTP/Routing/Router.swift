import Foundation
import HTTPTypes
import Logging

/// Finds the route for a request and answers with it.
///
/// A literal segment is preferred to a parameter. HEAD is answered by the GET route if it has no route of its own, and OPTIONS
/// with the methods of the path's routes. An unknown path is answered with 404, another method of a known path with 405.
public struct Router: Sendable {
    public let routes: [Route]
    private let logger: Logger
    private var root = Node()

    /// The routes that share the path up to this segment.
    private struct Node: Sendable {
        var literals: [String: Node] = [:]
        /// The node for any other segment, if there is one. It is an array because a struct cannot contain itself.
        var parameter: [Node] = []
        var endpoints: [HTTPRequest.Method: Endpoint] = [:]
    }

    private struct Endpoint: Sendable {
        var route: Route
        var parameters: [String]
    }

    /// - Throws: ``RouterError`` for a malformed pattern, and for two routes that match the same requests.
    public init(routes: [Route], logger: Logger) throws(RouterError) {
        self.routes = routes
        self.logger = logger
        for route in routes {
            let segments = try PathPattern(route.pattern).segments
            let parameters = segments.compactMap { if case .parameter(let name) = $0 { name } else { nil } }
            let endpoint = Endpoint(route: route, parameters: parameters)
            try Self.insert(endpoint, at: segments[...], into: &root)
        }
    }

    private static func insert(
        _ endpoint: Endpoint, at path: ArraySlice<PathPattern.Segment>, into node: inout Node
    ) throws(RouterError) {
        let tail = path.dropFirst()
        switch path.first {
        case .literal(let literal):
            try insert(endpoint, at: tail, into: &node.literals[literal, default: Node()])
        case .parameter:
            if node.parameter.isEmpty { node.parameter.append(Node()) }
            try insert(endpoint, at: tail, into: &node.parameter[0])
        case nil:
            let route = endpoint.route
            if let other = node.endpoints.updateValue(endpoint, forKey: route.method) {
                throw .duplicateRoute(
                    method: route.method.rawValue, pattern: route.pattern, other: other.route.pattern)
            }
        }
    }

    /// Answers a request. Errors are answered with a ``Problem``.
    public func respond(to request: Request) async -> Response {
        switch find(request) {
        case .answer(let response): response
        case .route(let route, let request):
            await respond(to: request, with: route) { try await route.handler(request) }
        }
    }

    /// Looks at a request before its body has arrived.
    ///
    /// - Returns: The response if the request is refused whatever its body; nil if the body should be read.
    public func refusal(of request: Request) async -> Response? {
        switch find(request) {
        case .answer(let response):
            return response.status.kind == .clientError ? response : nil
        case .route(let route, let request):
            let nothing = Response(status: .continue)
            let response = await respond(to: request, with: route) {
                try await route.screen(request)
                return nothing
            }
            return response.status == nothing.status ? nil : response
        }
    }

    private enum Finding {
        case answer(Response)
        case route(Route, Request)
    }

    private func find(_ request: Request) -> Finding {
        if request.path == "*" { return .answer(Self.options(allowed: Set(routes.map(\.method)))) }
        guard let match = Self.match(request.pathSegments[...], in: root) else {
            return .answer(Problem.unknownRoute(path: request.path).response(path: request.path))
        }
        // RFC 9110 section 9.3.2: HEAD is GET without the body, which the connection omits.
        let standIn = request.method == .head ? match.endpoints[.get] : nil
        guard let endpoint = match.endpoints[request.method] ?? standIn else {
            let methods = Set(match.endpoints.keys)
            if request.method == .options { return .answer(Self.options(allowed: methods)) }
            let problem = Problem.methodNotAllowed(
                request.method, path: request.path, allowed: Self.allowed(methods))
            return .answer(problem.response(path: request.path))
        }
        var request = request
        request.routePattern = endpoint.route.pattern
        for (name, value) in zip(endpoint.parameters, match.values) { request.parameters[name] = value }
        return .route(endpoint.route, request)
    }

    private func respond(
        to request: Request, with route: Route, _ body: () async throws -> Response
    ) async -> Response {
        var response: Response
        do {
            response = try await body()
        } catch let problem as Problem {
            response = problem.response(path: request.path)
        } catch is CancellationError {
            // The client has gone or the server is shutting down; a client that reads this should try again.
            response = Problem.unavailable(detail: "The request was cancelled: send it again.", retryAfter: 1)
                .response(path: request.path)
        } catch {
            logger.error(
                "a handler failed",
                metadata: ["error": "\(error)", "request_id": "\(request.id)", "route": "\(route.pattern)"])
            response = Problem.internalError().response(path: request.path)
        }
        response.routePattern = route.pattern
        return response
    }

    private static func match(
        _ path: ArraySlice<String>, in node: Node
    ) -> (endpoints: [HTTPRequest.Method: Endpoint], values: [String])? {
        guard let segment = path.first else { return node.endpoints.isEmpty ? nil : (node.endpoints, []) }
        let tail = path.dropFirst()
        if let next = node.literals[segment], let match = match(tail, in: next) { return match }
        guard !segment.isEmpty, let next = node.parameter.first, let match = match(tail, in: next) else { return nil }
        return (match.endpoints, [segment] + match.values)
    }

    private static func options(allowed methods: Set<HTTPRequest.Method>) -> Response {
        let list = allowed(methods).map(\.rawValue).joined(separator: ", ")
        return Response(status: .noContent, headers: [.allow: list])
    }

    /// The methods of an Allow field (RFC 9110 section 10.2.1), in a fixed order.
    private static func allowed(_ methods: Set<HTTPRequest.Method>) -> [HTTPRequest.Method] {
        var methods = methods.union([.options])
        if methods.contains(.get) { methods.insert(.head) }
        return methods.sorted { $0.rawValue < $1.rawValue }
    }
}

/// One operation of the server: its method and path, its purpose, and its handler.
public struct Route: Sendable {
    public typealias Handler = @Sendable (Request) async throws -> Response
    public typealias Screen = @Sendable (Request) async throws -> Void

    public let method: HTTPRequest.Method
    /// A path in which `{name}` matches any one segment, such as `/v1/jobs/{id}`.
    public let pattern: String
    /// What the route does, in a few words.
    public let summary: String
    /// Throws the error with which a request is refused whatever its body, which has not arrived yet. The handler must refuse the
    /// request, too, because the screen is not called if the body is small.
    public let screen: Screen
    /// Answers a request. If it throws a ``Problem``, that is the answer; any other error is logged and answered with status 500.
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

/// A path in which `{name}` matches any one segment that is not empty.
struct PathPattern: Sendable, Equatable {
    enum Segment: Sendable, Equatable {
        case literal(String)
        case parameter(String)
    }

    let segments: [Segment]

    init(_ pattern: String) throws(RouterError) {
        guard pattern.hasPrefix("/") else {
            throw .malformedPattern(pattern, reason: "it does not start with a slash")
        }
        var names: Set<String> = []
        var segments: [Segment] = []
        for part in pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard part.contains(where: { $0 == "{" || $0 == "}" }) else {
                segments.append(.literal(String(part)))
                continue
            }
            let name = part.dropFirst().dropLast()
            guard part.first == "{", part.last == "}", !name.isEmpty, !name.contains(where: { $0 == "{" || $0 == "}" })
            else {
                throw .malformedPattern(pattern, reason: "\"\(part)\" is neither a literal nor one {name}")
            }
            guard names.insert(String(name)).inserted else {
                throw .malformedPattern(pattern, reason: "{\(name)} is in it twice")
            }
            segments.append(.parameter(String(name)))
        }
        self.segments = segments
    }
}

/// A route that the router cannot use.
public enum RouterError: Error, Sendable, Equatable {
    case malformedPattern(String, reason: String)
    case duplicateRoute(method: String, pattern: String, other: String)
}

extension RouterError: LocalizedError, CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformedPattern(let pattern, let reason):
            "The route pattern \"\(pattern)\" is malformed: \(reason). Write it like /v1/jobs/{id}."
        case .duplicateRoute(let method, let pattern, let other):
            "\(method) \(pattern) would never be reached, because \(other) matches its requests: remove one of the two."
        }
    }

    public var errorDescription: String? { description }
}
