import Attribution
import HTTP
import HTTPTypes

extension API {
    var modelRoutes: [Route] {
        [
            route(.post, "/v1/completions", "Let the model continue a prompt", scope: .query, postCompletion),
            route(.get, "/v1/model", "See what is loaded: model, factors, corpus", getModel),
        ]
    }

    @Sendable private func postCompletion(_ request: Request) async throws -> Response {
        let asked = try request.json().decoded(as: CompletionRequest.self)
        let engine = try readiness.engine()
        return try .json(encoding: try await completions.run { try engine.complete(asked) })
    }

    @Sendable private func getModel(_ request: Request) async throws -> Response {
        let engine = try readiness.engine()
        return try .json(encoding: try await lookups.run { try engine.describe() })
    }
}
