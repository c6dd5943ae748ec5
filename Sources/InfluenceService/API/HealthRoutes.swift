import HTTP
import HTTPTypes

extension API {
    var healthRoutes: [Route] {
        [
            route(.get, "/healthz", "Tell that the server lives", scope: nil) { _ in
                try .json(encoding: Health(status: "alive"))
            },
            route(
                .get, "/readyz", "Tell whether queries are answered: 503 until the model is loaded", scope: nil,
                getReady),
        ]
    }

    private struct Health: Encodable {
        var status: String
        /// While starting: what is done just now.
        var stage: String?
        var reason: String?
    }

    @Sendable private func getReady(_ request: Request) async throws -> Response {
        let health: Health
        switch readiness.state {
        case .ready: return try .json(encoding: Health(status: "ready"))
        case .starting(let stage): health = Health(status: "starting", stage: stage)
        case .failed(let reason): health = Health(status: "failed", reason: reason)
        case .stopping: health = Health(status: "stopping")
        }
        return try .json(encoding: health, status: .serviceUnavailable, headers: [.retryAfter: "2"])
    }

    private struct Landing: Encodable {
        var service = "tributary"
        var calls: [Call]

        struct Call: Encodable {
            var method: String
            var path: String
            var summary: String
        }
    }

    /// What there is to call.
    func landing(_ routes: [Route]) -> Route {
        let calls = routes.map {
            Landing.Call(method: $0.method.rawValue, path: $0.pattern, summary: $0.summary)
        }
        return route(.get, "/", "List the calls", scope: nil) { _ in try .json(encoding: Landing(calls: calls)) }
    }
}
