import HTTPTypes

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
