import Attribution
import HTTP
import HTTPTypes

extension API {
    var influenceOperations: [Operation] {
        [
            Operation(
                .post, "/v1/influence", id: "postInfluence", tag: .influence, scope: .query,
                "Ask which training sequences made the model say something: one query, or a list",
                details: """
                    A list in which a query has the wrong form is refused as a whole, before anything is kept. What the model or \
                    the corpus has against a query of a list is told in its own entry of the result.
                    """,
                parameters: [
                    .header(
                        "Prefer",
                        "wait=SECONDS (RFC 7240): answer with the result itself if it is there in time.",
                        .string("A preference.", example: "wait=60")),
                    .header("Accept", "Which form the result is wanted in.", .string("Media types.")),
                ],
                body: .init(
                    description: "The query or queries.",
                    forms: [("application/json", .reference(.influenceRequest))]),
                answers: [
                    .results(
                        "The result, as it was there in time.",
                        headers: [
                            ("Content-Location", .string("The path of the result.")),
                            ("Preference-Applied", .string("How long the server was willing to wait.")),
                        ]),
                    .json(
                        "The job, which is on disk.", .job, status: .accepted,
                        headers: [
                            ("Location", .string("The path of the job.")),
                            ("Preference-Applied", .string("How long the server was willing to wait.")),
                        ]),
                ],
                problems: ProblemKind.ofJSONBodies + ProblemKind.ofEngineCalls
                    + [.queueFull, .tooManyQueries, .storageFull, .jobCancelled, .jobAbandoned], postInfluence)
        ]
    }

    /// Answers with 202 and the job, or, where `Prefer: wait=SECONDS` is met in time, with 200 and the result.
    ///
    /// A single query that cannot be answered is refused with 422. In a list only what is wrong with its form is: what the
    /// model or the corpus has against a query is the business of its own entry in the result.
    @Sendable private func postInfluence(_ request: Request) async throws -> Response {
        let body = try request.json()
        let asked = try InfluenceRequest(
            body, defaults: configuration.query, maximumQueries: configuration.jobs.maximumQueriesPerRequest)
        let engine = try readiness.engine()
        if !asked.isList, let query = asked.queries.first {
            try await lookups.run { try engine.validate(query) }
        }
        let job = try await batcher.submit(asked.queries, isList: asked.isList)
        for query in asked.queries { log(query: query, of: job.id) }
        guard let wait = Preferences(request.headers).wait else { return try accepted(job) }
        let seconds = min(Double(wait), configuration.jobs.maximumWaitSeconds)
        await batcher.waitForEnd(of: job.id, seconds: seconds)
        var response = try await resultOrAccepted(job, as: resultFormat(for: request) ?? .json)
        // RFC 7240 section 3: what was applied, which may be less than was asked for.
        if let name = HTTPField.Name("Preference-Applied") { response.headers[name] = "wait=\(Int(seconds))" }
        return response
    }

    private func resultOrAccepted(_ posted: Job, as format: ResultDocument.Format) async throws -> Response {
        let job = try await store.job(posted.id) ?? posted
        guard job.status.isFinal else { return try accepted(job) }
        var response = try await result(of: job, as: format)
        response.headers[.contentLocation] = job.id.resultPath
        return response
    }

    private func accepted(_ job: Job) throws -> Response {
        try .json(encoding: JobDocument(job), status: .accepted, headers: [.location: job.id.path])
    }
}
