import HTTPTypes

/// What a handler answers.
///
/// The connection adds Date, Connection, X-Request-Id and the body's framing; fields of these names set here are not sent.
public struct Response: Sendable {
    /// What follows the header section.
    public enum Body: Sendable {
        /// All of it, at hand.
        case bytes([UInt8])
        /// Pieces that are sent as they come, in the chunked transfer coding.
        ///
        /// The next piece is asked for only when the client has taken most of those before it. When the client goes away
        /// the sequence's task is cancelled. `AsyncThrowingStream(unfolding:)` makes such a sequence of a closure. A sequence that throws ends the connection without the last chunk, so that
        /// the client knows the body is incomplete.
        case stream(any AsyncSequence<[UInt8], any Error> & Sendable)

        public static var empty: Body { .bytes([]) }
    }

    public var status: HTTPResponse.Status
    public var headers: HTTPFields
    public var body: Body
    /// Asks for the connection to be closed after the response.
    public var closesConnection = false
    /// The route that answered, such as `/v1/jobs/{id}`; not sent. Filled in by ``Router``.
    public var routePattern: String?
    /// What logs shall know of the answer besides, such as the id of a job; not sent.
    public var annotations: [String: String] = [:]

    public init(status: HTTPResponse.Status = .ok, headers: HTTPFields = [:], body: Body = .empty) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A response with a body of one media type.
    public init(status: HTTPResponse.Status = .ok, contentType: String, body: [UInt8], headers: HTTPFields = [:]) {
        self.init(status: status, headers: headers, body: .bytes(body))
        self.headers[.contentType] = contentType
    }

    /// A response of `application/json`.
    ///
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
