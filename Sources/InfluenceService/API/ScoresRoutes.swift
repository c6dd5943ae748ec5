import Attribution
import Foundation
import HTTP
import HTTPTypes
import JSON

extension API {
    var scoreOperations: [Operation] {
        [
            Operation(
                .post, "/v1/scores", id: "postScores", tag: .influence, scope: .query,
                "Score ad-hoc texts, and wait for the scores",
                details: """
                    The texts need not be in the corpus. They are scored with the uncompressed gradient. The request waits in the \
                    same queue as all other queries, where such small ones go first. Nothing of it is written to disk. While it \
                    waits and runs, GET /v1/jobs lists it without its texts. When it has ended, or its client has closed the \
                    connection, the server forgets it. Sent again, it gives the same scores.
                    """,
                parameters: [
                    .header(
                        "Prefer", "wait=SECONDS (RFC 7240): wait no longer than that.",
                        .string("A preference.", example: "wait=10"))
                ],
                body: .init(
                    description: "The query and the texts.", forms: [("application/json", .reference(.scoresRequest))]),
                answers: [.json("A score for each text, in the order given.", .scores)],
                problems: ProblemKind.ofJSONBodies + ProblemKind.ofEngineCalls
                    + [.queueFull, .tooManyQueries, .jobCancelled], postScores)
        ]
    }

    /// Answers with the scores, or with 503 if they are not there in time.
    @Sendable private func postScores(_ request: Request) async throws -> Response {
        let asked = try ScoresRequest(try request.json(), limits: configuration.query)
        let engine = try readiness.engine()
        let query = asked.query
        do {
            try await validations.run { try engine.validate(query) }
            log(prompt: query.prompt, completion: query.completion)
            let result = try await answer(to: query, within: Preferences(request.headers).wait)
            return try .json(encoding: ScoresDocument(result, ids: asked.ids))
        } catch let SubmissionError.tooCostly(_, excess) {
            let field = excess.field(of: query).replacing("candidates.", with: "")
            throw Problem.unusableField(field == "rank" ? "prompt" : field, excess.reason)
        } catch QueryError.unusable(let field, let reason) {
            throw QueryError.unusable(field: field.replacing("candidates.", with: ""), reason: reason)
        }
    }

    /// Has a query answered in its turn, as long as the client is there to take the answer.
    private func answer(to query: InfluenceQuery, within wait: Int?) async throws -> InfluenceResult {
        let longest = min(configuration.jobs.maximumWaitSeconds, Self.patience)
        let outcome = try await batcher.answer(
            query, asker: Authenticator.caller.map { Asker(id: $0.id, queryLimit: $0.queuedQueries) },
            within: min(wait.map(Double.init) ?? longest, longest))
        switch outcome {
        case .result(let body): return try JSONTreeDecoder.decode(InfluenceResult.self, from: body)
        case .failure(let failure): throw Problem(failure)
        case nil:
            if await batcher.isStopping { throw Problem.stopping }
            throw Problem.unavailable(
                detail: """
                    The server is too busy to score the texts in time. Try again, with fewer texts if there are many; or post them \
                    to /v1/influence as candidates.texts, and fetch the result later.
                    """,
                retryAfter: 5)
        }
    }

    /// The longest that a request is kept waiting, in seconds.
    private static let patience = 60.0
}
