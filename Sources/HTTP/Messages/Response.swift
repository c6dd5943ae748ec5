import HTTPTypes

/// Answers a request. It cannot throw: errors are answered, too, as by ``Router/respond(to:)``.
public typealias Responder = @Sendable (Request) async -> Response

/// Looks at a request before its body has arrived, and returns a response if the request is refused whatever its body. See
/// ``Router/refusal(of:)``.
public typealias RequestScreen = @Sendable (Request) async -> Response?

/// The response to a request.
///
/// The connection adds Date, Connection, X-Request-Id and the body's framing. Fields of these names that a handler sets are not
/// sent.
public struct Response: Sendable {
    public enum Body: Sendable {
        case bytes([UInt8])
        /// Chunks that are sent as they are produced, in the chunked transfer coding.
        ///
        /// The next chunk is requested only when the client has received most of those before it. When the client goes away,
        /// the sequence's task is cancelled. If the sequence throws, the connection ends without the last chunk, so that the
        /// client knows the body is incomplete. `AsyncThrowingStream(unfolding:)` makes such a sequence of a closure.
        case stream(any AsyncSequence<[UInt8], any Error> & Sendable)
    }

    public var status: HTTPResponse.Status
    public var headers: HTTPFields
    public var body: Body
    /// Whether the connection is closed after the response.
    public var closesConnection = false
    /// The route that answered, such as `/v1/jobs/{id}`. Set by ``Router``, and not sent.
    public var routePattern: String?
    /// More values for the logs, such as the id of a job. They are not sent.
    public var annotations: [String: String] = [:]

    public init(status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public init(status: HTTPResponse.Status = .ok, contentType: String, body: [UInt8], headers: HTTPFields = [:]) {
        self.init(status: status, headers: headers, body: .bytes(body))
        self.headers[.contentType] = contentType
    }

    /// - Parameter bytes: A JSON text in UTF-8.
    public static func json(
        _ bytes: some Sequence<UInt8>, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        Response(status: status, contentType: "application/json", body: Array(bytes), headers: headers)
    }

    /// A response of `text/plain` in UTF-8.
    public static func text(
        _ text: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        Response(
            status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8), headers: headers)
    }
}
