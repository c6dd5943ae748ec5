import HTTPTypes

/// One request and its response, while they last.
struct Exchange: Sendable {
    let context: ResponseEncoder.RequestContext
    /// Nil where the request was refused before it was understood.
    let method: HTTPRequest.Method?
    /// The path without the query, which may hold what the user typed.
    let path: String?
    let started: ContinuousClock.Instant
    /// Whether another request may follow.
    var keepsAlive: Bool
    /// Runs the handler and sends the response.
    var task: Task<Void, Never>?
    var status: HTTPResponse.Status?
    var framing = ResponseEncoder.Framing.none
    /// Whether all of the response is in the output buffer.
    var isComplete = false
    var bytesSent = 0

    /// A request that a handler will answer.
    init(_ head: RequestHead, identifier: String) {
        context = ResponseEncoder.RequestContext(
            isHead: head.method == .head, version: head.version, identifier: identifier)
        method = head.method
        path = head.target.path
        started = .now
        keepsAlive = head.keepsAlive
    }

    /// A request that is refused.
    init(rejectedAs identifier: String) {
        context = ResponseEncoder.RequestContext(isHead: false, version: .http11, identifier: identifier)
        method = nil
        path = nil
        started = .now
        keepsAlive = false
    }
}
