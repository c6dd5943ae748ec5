import Attribution
import HTTP
import HTTPTypes

extension API {
    var corpusRoutes: [Route] {
        [
            route(.get, "/v1/sequences/{id}", "Get one training sequence with its metadata", getSequence),
            route(.get, "/v1/search", "Find training sequences by their words", items: ["q", "limit"], getSearch),
        ]
    }

    @Sendable private func getSequence(_ request: Request) async throws -> Response {
        let id = try request.parameter("id")
        let engine = try readiness.engine()
        guard let sequence = try await lookups.run({ try engine.sequence(id) }) else {
            throw Problem.unknownSequence(id)
        }
        return try .json(encoding: sequence)
    }

    private struct SearchResult: Encodable {
        var hits: [SearchHit]
    }

    @Sendable private func getSearch(_ request: Request) async throws -> Response {
        guard let text = request.query("q"), !text.isEmpty else {
            throw Problem.invalidField("q", detail: "The query item \"q\" must hold the words to search for.")
        }
        let limit = try request.number("limit", in: 1...1_000, default: 20)
        let engine = try readiness.engine()
        return try .json(encoding: SearchResult(hits: try await lookups.run { try engine.search(text, limit: limit) }))
    }
}
