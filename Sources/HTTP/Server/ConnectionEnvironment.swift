import HTTPTypes
import Logging
import Synchronization

/// What all connections of a listener share.
struct ConnectionEnvironment: Sendable {
    let limits: RequestLimits
    let timeouts: HTTPServerConfiguration.Timeouts
    /// Where connections speak TLS, what they speak it with.
    let tls: TLSContextSource?
    let proxies: TrustedProxies
    /// Whom the listener answers for.
    let hosts: ServedHosts
    let screen: HTTPServer.Screen?
    let handler: HTTPServer.Handler
    /// Where handlers run; Swift's own pool if `nil`.
    let executor: (any TaskExecutor)?
    let logger: Logger
    let observers: [any ConnectionObserving]
    let registry: ConnectionRegistry
    let bodies: BodyBudget
    let identifiers: RequestIdentifiers

    var scheme: String { tls == nil ? "http" : "https" }
}

/// Names requests: a prefix drawn once a server, and a number.
final class RequestIdentifiers: Sendable {
    private let prefix = String(UInt32.random(in: .min ... .max), radix: 16)
    private let last = Atomic<UInt64>(0)

    func next() -> String {
        "\(prefix)-\(last.add(1, ordering: .relaxed).newValue)"
    }

    /// The identifier that the client sent as X-Request-Id, so that logs of both sides can be joined; or a new one where
    /// there is none, or one that does not belong in a log line.
    func identifier(in fields: HTTPFields) -> String {
        guard let sent = fields.first(where: { $0.name.canonicalName == "x-request-id" })?.value,
            sent.utf8.count <= 64, Array(sent.utf8)[...].isToken
        else { return next() }
        return sent
    }
}
