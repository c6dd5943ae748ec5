import HTTPTypes
import Synchronization

/// One request and its response, until the response is sent.
struct Exchange: Sendable {
    let context: ResponseEncoder.RequestContext
    /// Nil if the request was refused before it was parsed.
    let method: HTTPRequest.Method?
    /// The path without the query, which can contain text that a user typed.
    let path: String?
    let client: SocketAddress
    let started: ContinuousClock.Instant
    let bytesReceived: Int
    /// Whether another request can follow.
    var keepsAlive: Bool
    /// The body's share of the server's budget.
    var bodyHold: BodyHold?
    /// Runs the handler and sends the response.
    var task: Task<Void, Never>?
    var status: HTTPResponse.Status?
    var routePattern: String?
    var annotations: [String: String] = [:]
    var framing = ResponseEncoder.Framing.none
    /// Whether the whole response has been added to the output buffer.
    var isComplete = false
    var bytesSent = 0

    /// - Parameter head: Nil if the request was refused before it was parsed.
    init(_ head: RequestHead?, identifier: String, client: SocketAddress, bytesReceived: Int) {
        context = ResponseEncoder.RequestContext(
            isHead: head?.method == .head, version: head?.version ?? .http11, identifier: identifier)
        method = head?.method
        path = head?.target.path
        self.client = client
        started = .now
        self.bytesReceived = bytesReceived
        keepsAlive = head?.keepsAlive ?? false
    }

    func report(_ outcome: RequestReport.Outcome) -> RequestReport {
        RequestReport(
            identifier: context.identifier, method: method, path: path, routePattern: routePattern, status: status,
            outcome: outcome, remoteAddress: client, duration: ContinuousClock.now - started,
            bytesReceived: bytesReceived, bytesSent: bytesSent, annotations: annotations)
    }
}

/// Makes the identifiers of requests: a random prefix per server, and a number.
final class RequestIdentifiers: Sendable {
    private let prefix = String(UInt32.random(in: .min ... .max), radix: 16)
    private let last = Atomic<UInt64>(0)

    func next() -> String {
        "\(prefix)-\(last.add(1, ordering: .relaxed).newValue)"
    }

    /// The identifier that the client sent as X-Request-Id, so that the logs of both sides can be joined. It is a new one if the
    /// client sent none, or one that is not fit for a log line.
    func identifier(in fields: HTTPFields) -> String {
        guard let sent = fields.first(where: { $0.name.canonicalName == "x-request-id" })?.value,
            sent.utf8.count <= 64, Array(sent.utf8)[...].isToken
        else { return next() }
        return sent
    }
}
