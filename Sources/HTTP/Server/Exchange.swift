import HTTPTypes
import Synchronization

/// One request and its response, until the response is sent.
struct Exchange: Sendable {
    let context: ResponseEncoder.RequestContext
    private let started = ContinuousClock.now
    var keepsAlive: Bool
    var bodyHold: BodyHold?
    /// Runs the handler and sends the response.
    var task: Task<Void, Never>?
    var framing = ResponseEncoder.Framing.none
    /// Whether the whole response has been added to the output buffer.
    var isComplete = false
    /// What is known so far; ``ended(_:)`` adds the outcome and the duration.
    var report: RequestReport

    /// - Parameter head: Nil if the request was refused before it was parsed.
    init(_ head: RequestHead?, identifier: String, client: SocketAddress, bytesReceived: Int) {
        context = ResponseEncoder.RequestContext(
            isHead: head?.method == .head, version: head?.version ?? .http11, identifier: identifier)
        keepsAlive = head?.keepsAlive ?? false
        report = RequestReport(
            identifier: identifier, method: head?.method, path: head?.target.path, outcome: .aborted,
            remoteAddress: client, duration: .zero, bytesReceived: bytesReceived, bytesSent: 0, annotations: [:])
    }

    func ended(_ outcome: RequestReport.Outcome) -> RequestReport {
        var report = report
        (report.outcome, report.duration) = (outcome, ContinuousClock.now - started)
        return report
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
