import HTTP
import HTTPTypes

extension API {
    var healthOperations: [Operation] {
        [
            Operation(
                .get, "/healthz", id: "getHealth", tag: .service, scope: nil, "Tell that the server lives",
                answers: [.json("It lives.", .health)], getHealth),
            Operation(
                .get, "/readyz", id: "getReadiness", tag: .service, scope: nil,
                "Tell whether queries are answered: 503 until the model is loaded, and when the server stops",
                answers: [
                    .json("Queries are answered.", .health),
                    .json(
                        "Not yet, or no more.", .health, status: .serviceUnavailable,
                        headers: [("Retry-After", .integer("When to ask again, in seconds.", from: 0))]),
                ], getReadiness),
            Operation(
                .get, "/metrics", id: "getMetrics", tag: .service, scope: .read,
                "Get measurements in the Prometheus text format",
                answers: [
                    Operation.Answer(
                        status: .ok,
                        content: .init(
                            description: "The text format, version 0.0.4.",
                            forms: [(PrometheusText.contentType, .string("Lines of text."))]))
                ], getMetrics),
        ]
    }

    @Sendable private func getHealth(_ request: Request) async throws -> Response {
        try .json(encoding: Health(status: "alive"))
    }

    @Sendable private func getReadiness(_ request: Request) async throws -> Response {
        let health = Health(readiness.state)
        guard health.status != "ready" else { return try .json(encoding: health) }
        return try .json(encoding: health, status: .serviceUnavailable, headers: [.retryAfter: "2"])
    }

    @Sendable private func getMetrics(_ request: Request) async throws -> Response {
        let families = await measurements()
        return Response(
            contentType: PrometheusText.contentType, body: Array(PrometheusText.text(families).utf8),
            headers: [.cacheControl: "no-store"])
    }
}

/// How the server is, as clients see it.
struct Health: Encodable, Equatable {
    var status: String
    /// While starting: what is done just now.
    var stage: String?
    var reason: String?

    init(status: String) { self.status = status }

    init(_ state: Readiness.State) {
        status = state.name
        switch state {
        case .starting(let stage): self.stage = stage
        case .failed(let reason): self.reason = reason
        case .ready, .stopping: break
        }
    }
}

extension Readiness.State {
    /// Every name there is.
    static let names = ["starting", "ready", "failed", "draining"]

    var name: String {
        switch self {
        case .starting: "starting"
        case .ready: "ready"
        case .failed: "failed"
        case .stopping: "draining"
        }
    }
}
