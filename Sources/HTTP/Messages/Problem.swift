import Foundation
import HTTPTypes

/// An error as clients see it: `application/problem+json` (RFC 9457).
///
/// Handlers throw it; the router and the connection answer with it. `type` is what programs compare and does not change
/// between releases; `detail` is for people, names what was wrong and says what to do.
public struct Problem: Error, Sendable, Equatable {
    /// A URI reference that names the kind of problem, such as `/problems/unknown-route`.
    public var type: String
    /// What the kind is called, the same for every problem of the type.
    public var title: String
    public var status: HTTPResponse.Status
    /// What is wrong this time and what to do about it.
    public var detail: String
    /// The member of the request's body, the query item or the header field that is at fault, such as `candidates.limit`.
    public var field: String?
    /// The line of the request's body that is at fault, from 1, where it is made of lines.
    public var line: Int?
    /// A URI reference that names this occurrence. Where it is nil, the request's path is sent.
    public var instance: String?
    /// Fields that go with the response, such as Allow or Retry-After.
    public var headers: HTTPFields

    public init(
        type: String, title: String, status: HTTPResponse.Status, detail: String, field: String? = nil,
        instance: String? = nil, headers: HTTPFields = [:]
    ) {
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.field = field
        self.instance = instance
        self.headers = headers
    }

    public init(
        _ kind: ProblemKind, detail: String, field: String? = nil, line: Int? = nil, headers: HTTPFields = [:]
    ) {
        self.init(
            type: kind.type, title: kind.title, status: kind.status, detail: detail, field: field, headers: headers)
        self.line = line
    }

    /// The response to send.
    ///
    /// - Parameter path: The path of the request, for `instance`.
    public func response(path: String? = nil) -> Response {
        var headers = headers
        headers[.contentType] = "application/problem+json"
        // Problems tell of a moment; a cache that kept one would go on telling it.
        if !headers.contains(.cacheControl) { headers[.cacheControl] = "no-store" }
        return Response(status: status, headers: headers, body: .bytes(json(path: path)))
    }

    /// The members in the order in which RFC 9457 section 3.1 has them.
    private func json(path: String?) -> [UInt8] {
        let members: [(String, String?)] = [
            ("type", quoted(type)), ("title", quoted(title)), ("status", String(status.code)),
            ("detail", quoted(detail)), ("field", field.map(quoted)),
            ("line", line.map(String.init)), ("instance", (instance ?? path).map(quoted)),
        ]
        let pairs = members.compactMap { name, value in value.map { "\"\(name)\": \($0)" } }
        return Array("{\(pairs.joined(separator: ", "))}\n".utf8)
    }

    private func quoted(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        // Encoding a string fails for no string; the empty one stands in for the impossible.
        let bytes = (try? encoder.encode(text)) ?? Data("\"\"".utf8)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Problem: LocalizedError, CustomStringConvertible {
    public var description: String { "\(status.code) \(title): \(detail)" }
    public var errorDescription: String? { description }
}

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

/// A kind of problem: what a `type` stands for, wherever it occurs.
public struct ProblemKind: Sendable, Hashable {
    /// The last part of the `type`, such as `unknown-route`. It does not change between releases.
    public let name: String
    /// What the kind is called.
    public let title: String
    public let status: HTTPResponse.Status
    /// When it occurs, and what a client can do about it.
    public let explanation: String

    public init(_ name: String, _ title: String, _ status: HTTPResponse.Status, _ explanation: String) {
        self.name = name
        self.title = title
        self.status = status
        self.explanation = explanation
    }

    /// The `type` member of RFC 9457 section 3.1.1, relative to the service.
    public var type: String { "/problems/\(name)" }
}

// The kinds that any HTTP service has.
extension ProblemKind {
    public static let unknownRoute = ProblemKind(
        "unknown-route", "Unknown route", .notFound,
        "No call has the request's path. Check its spelling, and whether it ends with a slash.")
    public static let methodNotAllowed = ProblemKind(
        "method-not-allowed", "Method not allowed", .methodNotAllowed,
        "The path does not answer the request's method. The Allow field lists the methods that it answers.")
    public static let invalidField = ProblemKind(
        "invalid-field", "Invalid field", .badRequest,
        "A query item or a header field is malformed, unknown or given twice; the member field names it.")
    public static let preconditionFailed = ProblemKind(
        "precondition-failed", "Precondition failed", .preconditionFailed,
        "The field If-Match or If-None-Match asks for a state that the resource is not in, and nothing was done.")
    public static let internalError = ProblemKind(
        "internal-error", "Internal error", .internalServerError,
        "The server failed to answer. Its log has the reason under the response's X-Request-Id.")
    public static let unavailable = ProblemKind(
        "unavailable", "Unavailable", .serviceUnavailable,
        "The server is too busy at the moment. Try again after the number of seconds in Retry-After.")
    public static let tooManyConnections = ProblemKind(
        "too-many-connections", "Too many connections", .serviceUnavailable,
        "The client's address has too many connections open. Open fewer, and send more requests on each.")
    public static let malformedRequest = ProblemKind(
        "malformed-request", "Malformed request", .badRequest,
        "What the client sent is not a valid HTTP/1.1 request (RFC 9112). The server closes the connection.")
    public static let targetTooLong = ProblemKind(
        "target-too-long", "Request target too long", .uriTooLong,
        "The path and the query together are too long. Send long input in the body.")
    public static let headerTooLarge = ProblemKind(
        "header-too-large", "Header section too large", .requestHeaderFieldsTooLarge,
        "The header section has too many bytes or too many fields. Send fewer or shorter fields.")
    public static let bodyTooLarge = ProblemKind(
        "body-too-large", "Body too large", .contentTooLarge,
        "The body is too large, as it was sent or after decompression. Send its content in several requests.")
    public static let unknownExpectation = ProblemKind(
        "unknown-expectation", "Unknown expectation", .expectationFailed,
        "The Expect field has an expectation other than 100-continue. Leave the field out.")
    public static let misdirectedRequest = ProblemKind(
        "misdirected-request", "Misdirected request", .misdirectedRequest,
        "The request is for another scheme than the connection's, or for a host that the server does not answer for: on "
            + "a loopback address that is any but localhost, the loopback addresses and the names in its configuration."
    )
    public static let unknownTransferCoding = ProblemKind(
        "unknown-transfer-coding", "Unknown transfer coding", .notImplemented,
        "The body has a transfer coding other than chunked. Send it chunked, or with a Content-Length.")
    public static let noTunnels = ProblemKind(
        "no-tunnels", "No tunnels", .notImplemented, "The server does not implement the method CONNECT.")
    public static let unsupportedVersion = ProblemKind(
        "unsupported-version", "Unsupported HTTP version", .httpVersionNotSupported,
        "The server supports only HTTP/1.0 and HTTP/1.1.")
    public static let requestTimeout = ProblemKind(
        "request-timeout", "Request timeout", .requestTimeout,
        "The request did not arrive in time. Send it all at once, without pauses.")

    /// All of the above.
    public static let http: [ProblemKind] = [
        .unknownRoute, .methodNotAllowed, .invalidField, .preconditionFailed, .internalError, .unavailable,
        .tooManyConnections,
        .malformedRequest, .targetTooLong, .headerTooLarge, .bodyTooLarge, .unknownExpectation, .misdirectedRequest,
        .unknownTransferCoding, .noTunnels, .unsupportedVersion, .requestTimeout,
    ]
}
