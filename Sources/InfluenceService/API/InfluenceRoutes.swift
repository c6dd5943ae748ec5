import Attribution
import HTTP
import HTTPTypes
import JSON
import Limits

extension API {
    var influenceOperations: [Operation] {
        [
            Operation(
                method: .post, pattern: "/v1/influence", id: "postInfluence", tag: .influence, scope: .query,
                summary: "Ask which training sequences made the model say something: one query, or a list",
                details: """
                    A list is refused as a whole, before any of it is kept, if one of its queries has the wrong form. If a query of a \
                    list cannot be answered for the model or the corpus, its own entry of the result says why.
                    """,
                parameters: [
                    .header(
                        "Prefer",
                        "wait=SECONDS (RFC 7240): answer with the result itself if it is ready in time.",
                        schema: .string("A preference.", example: "wait=60")),
                    .header(
                        "Idempotency-Key",
                        "The client's own name for the request: with the same name and body, a repeated request returns the same job.",
                        schema: .string(
                            "1 to 255 visible ASCII characters without quotes.", pattern: "^[!#-~]{1,255}$",
                            example: "0d3f7c1e-8a52-4b6e-9f4b-5c1b6f0d2a11")),
                ],
                body: .json("The query or queries.", .influenceRequest),
                answers: [
                    .results(
                        "The result, which was ready in time.",
                        headers: Self.headers(with: "Content-Location", "The path of the result.")),
                    .json(
                        "The job, which is on disk.", .job, status: .accepted,
                        headers: Self.headers(with: "Location", "The path of the job.")),
                ],
                problems: ProblemKind.ofJSONBodies + ProblemKind.ofEngineCalls
                    + [.queueFull, .tooManyQueries, .storageFull, .idempotencyKeyReused, .jobCancelled, .jobAbandoned],
                handler: postInfluence)
        ]
    }

    private static func headers(with name: String, _ description: String) -> [(name: String, schema: Schema)] {
        [
            (name, .string(description)),
            ("Preference-Applied", .string("How long the server was willing to wait.")),
            ("Idempotent-Replayed", .string("`true` if an earlier request with the key created the job.")),
        ]
    }

    /// Answers with 202 and the job; or, if the result is ready within `Prefer: wait=SECONDS`, with 200 and the result.
    ///
    /// A single query that cannot be answered is refused with 422. A list is refused only if a query has the wrong form; other failures
    /// are in the query's own entry of the result.
    @Sendable private func postInfluence(_ request: Request) async throws -> Response {
        let body = try request.json()
        let asked = try InfluenceRequest(
            body, defaults: configuration.query, limit: configuration.jobs.queriesPerRequest)
        let key = try IdempotencyKey(of: request, body: body)
        let submission = try await submission(of: asked, key: key)
        let job = submission.job
        if !submission.isReplay {
            for query in asked.queries { log(query, of: job.id) }
        }
        let replay: HTTPFields = submission.isReplay ? Self.replayed : [:]
        guard let wait = Preferences(request.headers).wait else { return try accepted(job, replay) }
        let seconds = min(Double(wait), configuration.jobs.maximumWaitSeconds)
        await runner.waitForEnd(of: job.id, seconds: seconds)
        var response = try await resultOrAccepted(job, replay, as: resultFormat(for: request) ?? .json)
        // RFC 7240 section 3: the wait that was applied, which can be shorter than the one asked for.
        if let name = HTTPField.Name("Preference-Applied") { response.headers[name] = "wait=\(Int(seconds))" }
        return response
    }

    private static let replayed: HTTPFields = HTTPField.Name("Idempotent-Replayed").map { [$0: "true"] } ?? [:]

    private func submission(of asked: InfluenceRequest, key: IdempotencyKey?) async throws -> Submission {
        // A request that was accepted is answered again even if a new one could not be.
        if let key, let earlier = try await store.job(for: key) { return Submission(job: earlier, isReplay: true) }
        let engine = try readiness.engine()
        if !asked.isList, let query = asked.queries.first {
            try await validations.run { try engine.validate(query) }
        }
        do {
            return try await runner.submit(
                asked.queries, isList: asked.isList, key: key,
                asker: Authenticator.caller.map { Asker(id: $0.id, queryLimit: $0.queuedQueries) })
        } catch let SubmissionError.tooCostly(index, excess) {
            let field = excess.field(of: asked.queries[index])
            throw Problem.unusableField(asked.isList ? "[\(index)].\(field)" : field, excess.reason)
        }
    }

    private func resultOrAccepted(
        _ posted: Job, _ headers: HTTPFields, as format: ResultDocument.Format
    ) async throws -> Response {
        let job = try await store.snapshot(of: posted.id)?.job ?? posted
        guard job.status.isFinal else { return try accepted(job, headers) }
        var response = try await result(of: job, as: format)
        response.headers.append(contentsOf: headers)
        response.headers[.contentLocation] = job.id.resultPath
        response.headers[.cacheControl] = "no-store"
        return response
    }

    private func accepted(_ job: Job, _ headers: HTTPFields) throws -> Response {
        var headers = headers
        headers[.location] = job.id.path
        return try .json(encoding: JobDocument(job), status: .accepted, headers: headers)
    }
}

/// The body of POST /v1/influence: a query, or a list of queries.
struct InfluenceRequest: Equatable {
    var queries: [InfluenceQuery]
    var isList: Bool

    /// - Throws: A ``Problem`` with status 422 and the path of the field; in a list it begins with the query's index: `[3].prompt`.
    init(_ body: JSONTree, defaults: Configuration.Query, limit: ListLimit<InfluenceQuery>) throws {
        guard case .array(let elements) = body else {
            queries = [try Self.query(body, defaults, at: [])]
            isList = false
            return
        }
        guard limit.count.allows(elements.count) else {
            let advice = elements.isEmpty ? "" : ": post the list in parts"
            throw Problem.unusableField("", "expected \(limit.expected), found \(elements.count)\(advice)")
        }
        queries = try elements.enumerated().map { try Self.query($0.element, defaults, at: [IndexKey($0.offset)]) }
        isList = true
    }

    private static func query(
        _ tree: JSONTree, _ defaults: Configuration.Query, at path: [any CodingKey]
    ) throws -> InfluenceQuery {
        let candidates = (tree["candidates"].flatMap { $0 == .null ? nil : $0 } ?? .object([]))
            .filling("limit", with: .number(String(defaults.candidateLimit)))
        var members = tree
        if case .object(let all) = tree {
            members = .object(
                all.filter { !$0.name.hasSameBytes(as: "candidates") } + [.init(name: "candidates", value: candidates)])
        }
        let isBehaviour = (tree["measurement"] ?? .null) != .null
        let query =
            try members
            .filling("top_k", with: .number(String(defaults.topK)))
            .filling("rank", with: isBehaviour ? .string("auto") : .number(String(defaults.rank)))
            .filling("rescore", with: .number(String(defaults.rescore)))
            .decoded(as: InfluenceQuery.self, at: path)
        let prefix = JSONTree.text(of: path)
        try defaults.refuseTooMany(
            query.candidates.texts, field: (prefix.isEmpty ? "" : prefix + ".") + "candidates.texts")
        return query
    }
}
