import Foundation
import HTTPTypes

/// An error that clients receive as `application/problem+json` (RFC 9457).
///
/// Handlers throw it; the router and the connection answer with it. Programs compare its `type`, which does not change
/// between releases; `detail` is for people, and says what was wrong and what to do.
public struct Problem: Error, Sendable, Equatable {
    public var kind: ProblemKind
    /// What is wrong this time, and what to do about it.
    public var detail: String
    /// The member of the body, the query item or the header field that is at fault, such as `candidates.limit`.
    public var field: String?
    /// The line of the body that is at fault, counted from 1, if the body consists of lines.
    public var line: Int?
    /// Header fields of the response, such as Allow or Retry-After.
    public var headers: HTTPFields

    public init(
        _ kind: ProblemKind, detail: String, field: String? = nil, line: Int? = nil, headers: HTTPFields = [:]
    ) {
        self.kind = kind
        self.detail = detail
        self.field = field
        self.line = line
        self.headers = headers
    }

    public var type: String { kind.type }
    public var title: String { kind.title }
    public var status: HTTPResponse.Status { kind.status }

    /// - Parameter path: The path of the request, for `instance`.
    public func response(path: String? = nil) -> Response {
        var headers = headers
        headers[.contentType] = "application/problem+json"
        // A problem is true only at the moment it is sent, so no cache should keep it.
        if !headers.contains(.cacheControl) { headers[.cacheControl] = "no-store" }
        return Response(status: status, headers: headers, body: .bytes(json(path: path)))
    }

    /// The members in the order of RFC 9457 section 3.1.
    private func json(path: String?) -> [UInt8] {
        let members: [(String, String?)] = [
            ("type", quoted(type)), ("title", quoted(title)), ("status", String(status.code)),
            ("detail", quoted(detail)), ("field", field.map(quoted)), ("line", line.map(String.init)),
            ("instance", path.map(quoted)),
        ]
        let pairs = members.compactMap { name, value in value.map { "\"\(name)\": \($0)" } }
        return Array("{\(pairs.joined(separator: ", "))}\n".utf8)
    }

    private func quoted(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        // Encoding a string cannot fail.
        let bytes = (try? encoder.encode(text)) ?? Data("\"\"".utf8)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Problem: LocalizedError, CustomStringConvertible {
    public var description: String { "\(status.code) \(title): \(detail)" }
    public var errorDescription: String? { description }
}

/// The problems that any HTTP service can have. A service declares the problems of its own subject beside its routes.
extension Problem {
    public static func unknownRoute(path: String) -> Problem {
        Problem(
            .unknownRoute, detail: "There is nothing at \(path): check its spelling, and whether it ends with a slash.")
    }

    public static func methodNotAllowed(
        _ method: HTTPRequest.Method, path: String, allowed: [HTTPRequest.Method]
    ) -> Problem {
        let list = allowed.map(\.rawValue).joined(separator: ", ")
        return Problem(
            .methodNotAllowed, detail: "\(path) does not answer \(method.rawValue): use one of \(list).",
            headers: [.allow: list])
    }

    public static func invalidField(_ field: String, detail: String) -> Problem {
        Problem(.invalidField, detail: detail, field: field)
    }

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

    /// - Parameter retryAfter: When to try again, in whole seconds.
    public static func unavailable(detail: String, retryAfter seconds: Int) -> Problem {
        Problem(.unavailable, detail: detail, headers: [.retryAfter: String(seconds)])
    }

    init(_ rejection: RequestRejection) {
        let isTemporary = rejection.status == .serviceUnavailable
        self.init(rejection.kind, detail: rejection.description, headers: isTemporary ? [.retryAfter: "1"] : [:])
    }
}

/// A kind of problem, which a `type` identifies.
public struct ProblemKind: Sendable, Hashable {
    /// The last part of the `type`, such as `unknown-route`. It does not change between releases.
    public let name: String
    public let title: String
    public let status: HTTPResponse.Status
    /// When the problem occurs, and what a client can do about it.
    public let explanation: String

    public init(_ name: String, title: String, status: HTTPResponse.Status, _ explanation: String) {
        self.name = name
        self.title = title
        self.status = status
        self.explanation = explanation
    }

    /// The `type` member of RFC 9457 section 3.1.1, relative to the service.
    public var type: String { "/problems/\(name)" }
}

// The kinds that any HTTP service can have.
extension ProblemKind {
    public static let unknownRoute = ProblemKind(
        "unknown-route", title: "Unknown route", status: .notFound,
        "No call has the request's path. Check its spelling, and whether it ends with a slash.")
    public static let methodNotAllowed = ProblemKind(
        "method-not-allowed", title: "Method not allowed", status: .methodNotAllowed,
        "The path does not answer the request's method. The Allow field lists the methods that it answers.")
    public static let invalidField = ProblemKind(
        "invalid-field", title: "Invalid field", status: .badRequest,
        "A query item or a header field is malformed, unknown or given twice; the member field names it.")
    public static let preconditionFailed = ProblemKind(
        "precondition-failed", title: "Precondition failed", status: .preconditionFailed,
        "The field If-Match or If-None-Match asks for a state that the resource is not in, and nothing was done.")
    public static let internalError = ProblemKind(
        "internal-error", title: "Internal error", status: .internalServerError,
        "The server failed to answer. Its log has the reason under the response's X-Request-Id.")
    public static let unavailable = ProblemKind(
        "unavailable", title: "Unavailable", status: .serviceUnavailable,
        "The server is too busy at the moment. Try again after the number of seconds in Retry-After.")
    public static let tooManyConnections = ProblemKind(
        "too-many-connections", title: "Too many connections", status: .serviceUnavailable,
        "The client's address has too many connections open. Open fewer, and send more requests on each.")
    public static let malformedRequest = ProblemKind(
        "malformed-request", title: "Malformed request", status: .badRequest,
        "The client did not send a valid HTTP/1.1 request (RFC 9112). The server closes the connection.")
    public static let targetTooLong = ProblemKind(
        "target-too-long", title: "Request target too long", status: .uriTooLong,
        "The path and the query together are too long. Send long input in the body.")
    public static let headerTooLarge = ProblemKind(
        "header-too-large", title: "Header section too large", status: .requestHeaderFieldsTooLarge,
        "The header section has too many bytes or too many fields. Send fewer or shorter fields.")
    public static let bodyTooLarge = ProblemKind(
        "body-too-large", title: "Body too large", status: .contentTooLarge,
        "The body is too large, as it was sent or after decompression. Send its content in several requests.")
    public static let unknownExpectation = ProblemKind(
        "unknown-expectation", title: "Unknown expectation", status: .expectationFailed,
        "The Expect field has an expectation other than 100-continue. Leave the field out.")
    public static let misdirectedRequest = ProblemKind(
        "misdirected-request", title: "Misdirected request", status: .misdirectedRequest,
        "The request is for another scheme than the connection's, or for a host that the server does not serve. On a "
            + "loopback address it serves only localhost, the loopback addresses and the names in its configuration.")
    public static let unknownTransferCoding = ProblemKind(
        "unknown-transfer-coding", title: "Unknown transfer coding", status: .notImplemented,
        "The body has a transfer coding other than chunked. Send it chunked, or with a Content-Length.")
    public static let noTunnels = ProblemKind(
        "no-tunnels", title: "No tunnels", status: .notImplemented, "The server does not implement the method CONNECT.")
    public static let unsupportedVersion = ProblemKind(
        "unsupported-version", title: "Unsupported HTTP version", status: .httpVersionNotSupported,
        "The server supports only HTTP/1.0 and HTTP/1.1.")
    public static let requestTimeout = ProblemKind(
        "request-timeout", title: "Request timeout", status: .requestTimeout,
        "The request did not arrive in time. Send it all at once, without pauses.")

    /// All of the above.
    public static let http: [ProblemKind] = [
        .unknownRoute, .methodNotAllowed, .invalidField, .preconditionFailed, .internalError, .unavailable,
        .tooManyConnections, .malformedRequest, .targetTooLong, .headerTooLarge, .bodyTooLarge, .unknownExpectation,
        .misdirectedRequest, .unknownTransferCoding, .noTunnels, .unsupportedVersion, .requestTimeout,
    ]
}

/// What the client is answered.
extension RequestRejection: CustomStringConvertible {
    var kind: ProblemKind { answer.kind }
    var status: HTTPResponse.Status { kind.status }
    var description: String { answer.sentence }

    private var answer: (kind: ProblemKind, sentence: String) {
        switch self {
        case .malformed(let sentence):
            (.malformedRequest, sentence)
        case .targetTooLong(let limit):
            (.targetTooLong, "The request target is longer than \(limit) bytes: send long input in the body.")
        case .headerTooLarge(let limit):
            (.headerTooLarge, "The header section is larger than \(limit) bytes: send fewer or shorter fields.")
        case .tooManyFields(let limit):
            (.headerTooLarge, "The header section has more than \(limit) fields: send fewer.")
        case .bodyTooLarge(let limit):
            (.bodyTooLarge, "The body is larger than \(limit) bytes: send less, or in several requests.")
        case .unknownExpectation(let name):
            (.unknownExpectation, "The expectation \"\(name)\" is not supported: the only one is 100-continue.")
        case .misdirected(let scheme, let expected):
            (
                .misdirectedRequest,
                "The request target's scheme is \(scheme), but this connection serves \(expected)."
            )
        case .unservedHost(let host):
            (
                .misdirectedRequest,
                "This server does not serve the host \"\(host)\": use localhost or its address, or have the name added to its "
                    + "host names (server.host_names)."
            )
        case .unknownTransferCoding(let coding):
            (.unknownTransferCoding, "The transfer coding \"\(coding)\" is not implemented: the only one is chunked.")
        case .tunnel:
            (.noTunnels, "CONNECT is not implemented: this server opens no tunnels.")
        case .unsupportedVersion(let version):
            (.unsupportedVersion, "\(version) is not supported: send HTTP/1.1 or HTTP/1.0.")
        case .timedOut(.header):
            (.requestTimeout, "The request's header section did not arrive in time: send it right after connecting.")
        case .timedOut(.body):
            (.requestTimeout, "The request's body did not arrive in time: send it without pauses.")
        case .tooManyConnections(let limit):
            (
                .tooManyConnections,
                "Your address has more than \(limit) connections open: close some, or keep fewer and send more requests on each."
            )
        case .overloaded:
            (.unavailable, "The server holds as many request bodies as it can: try again when others are done.")
        case .displaced:
            (
                .unavailable,
                "The body arrived more slowly than others while the server held as many bytes of bodies as it can: try again."
            )
        }
    }
}
