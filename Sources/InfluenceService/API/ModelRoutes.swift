import Attribution
import HTTP
import HTTPTypes

extension API {
    var modelOperations: [Operation] {
        [
            Operation(
                .post, "/v1/completions", id: "complete", tag: .model, scope: .query, "Let the model continue a prompt",
                details: """
                    A completion that takes too long ends as far as it has come, with the finish_reason time_limit; of a client that \
                    has gone, nothing more is computed. Some run at a time, and others wait for their turn, but not for long: see \
                    the section completions of the configuration.
                    """,
                body: .init(
                    description: "The prompt.", forms: [("application/json", .reference(.completionRequest))]),
                answers: [.json("The continuation.", .completion)],
                problems: ProblemKind.ofJSONBodies + ProblemKind.ofEngineCalls + [.completionsBusy], postCompletion),
            Operation(
                .get, "/v1/model", id: "getModel", tag: .model, scope: .read,
                "See what is loaded: model, factors, corpus", answers: [.json("What is loaded.", .model)],
                problems: ProblemKind.ofEngineCalls, getModel),
        ]
    }

    @Sendable private func postCompletion(_ request: Request) async throws -> Response {
        let asked = try request.json().decoded(as: CompletionRequest.self)
        let engine = try readiness.engine()
        log(prompt: asked.prompt)
        return try .json(encoding: try await completions.run { try engine.complete(asked, until: $0, isCancelled: $1) })
    }

    @Sendable private func getModel(_ request: Request) async throws -> Response {
        let engine = try readiness.engine()
        return try .json(encoding: try await lookups.run { try engine.describe() })
    }
}
