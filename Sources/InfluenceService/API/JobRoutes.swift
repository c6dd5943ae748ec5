import Attribution
import Foundation
import HTTP
import HTTPTypes

extension API {
    var jobOperations: [Operation] {
        let id = Operation.Parameter.path("id", "The job's id.", .string("An id."))
        return [
            Operation(
                .get, "/v1/jobs", id: "listJobs", tag: .jobs, scope: .read, "List jobs, the newest first",
                parameters: [
                    .query("status", "Only jobs of this status.", .choice("A status.", of: Job.Status.self)),
                    .limit(default: 50), .cursor,
                ], answers: [.json("A page of them.", .jobList)], getJobs),
            Operation(
                .get, "/v1/jobs/{id}", id: "getJob", tag: .jobs, scope: .read, "See how far a job has come",
                parameters: [id], answers: [.json("The job.", .job)], problems: [.unknownJob, .unknownRoute], getJob),
            Operation(
                .get, "/v1/jobs/{id}/result", id: "getResult", tag: .jobs, scope: .read,
                "Get a job's ranked sequences as JSON, NDJSON or CSV",
                details: "The field Accept chooses the form; without it that is JSON.",
                parameters: [
                    id, .header("If-None-Match", "The tags of what is known already.", .string("Entity tags.")),
                ],
                answers: [
                    .results("The result.", headers: [("ETag", .string("Names the result in this form."))]),
                    Operation.Answer(status: .notModified, content: .init(description: "It is known.", forms: [])),
                ],
                problems: [
                    .unknownJob, .unknownRoute, .notAcceptable, .jobNotFinished, .jobCancelled, .unusableField,
                    .queryFailed, .jobAbandoned,
                ], getResult),
            Operation(
                .get, "/v1/jobs/{id}/events", id: "followJob", tag: .jobs, scope: .read,
                "Follow a job's progress as server-sent events",
                details: """
                    The events are status, progress, query and end; the data of each is JSON. A client that connects again with \
                    the id of the last one is told what it missed.
                    """,
                parameters: [id, .header("Last-Event-ID", "The id of the last event seen.", .string("An id."))],
                answers: [
                    Operation.Answer(
                        status: .ok,
                        content: .init(
                            description: "The events, until the job ends.",
                            forms: [("text/event-stream", .stream("Server-sent events.", of: .event))])),
                    Operation.Answer(status: .noContent, content: .init(description: "The end was seen.", forms: [])),
                ], problems: [.unknownJob, .unknownRoute], getEvents),
            Operation(
                .delete, "/v1/jobs/{id}", id: "cancelJob", tag: .jobs, scope: .query,
                "Cancel a job that has not ended",
                details: "Cancelling a job twice is the same as once.",
                parameters: [id], answers: [.json("The job, cancelled.", .job)],
                problems: [.unknownJob, .unknownRoute, .jobFinished, .storageFull], deleteJob),
        ]
    }

    @Sendable private func getJobs(_ request: Request) async throws -> Response {
        let statuses = Job.Status.allCases.map(\.rawValue).joined(separator: ", ")
        let status = try request.item("status", expected: "one of \(statuses)", Job.Status.init(rawValue:))
        let asked = try PageQuery(request, defaultLimit: 50)
        // They have no place in the order of those that the store has, and are on the first page alone.
        let passing =
            asked.cursor == nil ? store.board.passingJobs().filter { status == nil || $0.job.status == status } : []
        let shown = passing.prefix(asked.limit)
        var page = JobPage(jobs: [], next: PageQuery.cursors.upperBound)
        if shown.count < asked.limit {
            page = try await store.jobs(status: status, limit: asked.limit - shown.count, after: asked.cursor)
        }
        let documents =
            shown.map { JobDocument($0.job, progress: $0.progress) }
            + page.jobs.map { JobDocument($0, progress: store.board.snapshot(of: $0.id)?.progress) }
        return try .json(encoding: JobList(jobs: documents, nextCursor: page.next.map(String.init)))
    }

    @Sendable private func getJob(_ request: Request) async throws -> Response {
        let name = try request.parameter("id")
        guard let id = JobIdentifier(name) else { throw Problem.unknownJob(name) }
        let encode = { (job: JobSnapshot) in Array((try jsonText(JobDocument(job)) + "\n").utf8) }
        let headers: HTTPFields = [.cacheControl: "no-store"]
        if let shown = try store.board.document(of: id, encode: encode) { return .json(shown, headers: headers) }
        return .json(try encode(try await snapshot(of: request)), headers: headers)
    }

    @Sendable private func getResult(_ request: Request) async throws -> Response {
        guard let format = resultFormat(for: request) else {
            throw Problem.notAcceptable(available: ResultDocument.Format.allCases.map(\.mediaType))
        }
        let job = try await snapshot(of: request).job
        // A result never changes: its job and its form name it.
        let tag = EntityTag("\(job.id)-\(format.rawValue)")
        if job.hasResult, let response = request.notModified(tag, headers: Self.resultHeaders) { return response }
        var response = try await result(of: job, as: format)
        response.headers[.eTag] = tag.description
        return response
    }

    /// Any cache of the client's own may keep a result; that of a list depends on Accept.
    private static let resultHeaders: HTTPFields = [
        .vary: "Accept", .cacheControl: "private, max-age=86400, immutable",
    ]

    /// Follows a job. A client that has seen the end is told to come no more, with 204 (HTML, section 9.2.3).
    @Sendable private func getEvents(_ request: Request) async throws -> Response {
        let job = try await snapshot(of: request).job.id
        let events = JobEvents(after: HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] })
        guard !events.isOver else { return Response(status: .noContent) }
        let stream = JobEventStream(
            store: store, job: job, events: events, heartbeat: heartbeat, interval: eventInterval)
        // What a proxy would hold back (nginx has a field for it) is of no use to who follows.
        let headers: HTTPFields = HTTPField.Name("X-Accel-Buffering").map { [$0: "no"] } ?? [:]
        var response = Response(headers: headers, body: .stream(stream))
        response.headers[.contentType] = "text/event-stream"
        response.headers[.cacheControl] = "no-store"
        return response
    }

    /// Cancels a job. Cancelling it twice is the same as once; a job that has ended otherwise is left alone, with 409.
    @Sendable private func deleteJob(_ request: Request) async throws -> Response {
        let name = try request.parameter("id")
        guard let id = JobIdentifier(name), let (job, didCancel) = try await runner.cancel(id) else {
            throw Problem.unknownJob(name)
        }
        guard didCancel || job.status == .cancelled else { throw Problem.jobFinished(job) }
        return try .json(encoding: JobDocument(job))
    }

    private func snapshot(of request: Request) async throws -> JobSnapshot {
        let name = try request.parameter("id")
        guard let id = JobIdentifier(name), let job = try await store.snapshot(of: id) else {
            throw Problem.unknownJob(name)
        }
        return job
    }

    /// The form of results that the client likes best, if it likes any.
    func resultFormat(for request: Request) -> ResultDocument.Format? {
        let formats = ResultDocument.Format.allCases
        let choice = ContentNegotiation.choose(request.headers[.accept], from: formats.map(\.mediaType))
        return formats.first { $0.mediaType == choice }
    }

    /// The result of a job that has ended.
    ///
    /// - Throws: A ``Problem``: 409 if it has not ended or was cancelled, its own if it failed.
    func result(of job: Job, as format: ResultDocument.Format) async throws -> Response {
        guard job.status.isFinal else { throw Problem.jobNotFinished(job) }
        guard job.status != .cancelled else { throw Problem.jobCancelled(job.id) }
        guard job.hasResult else {
            throw Problem(job.failure ?? QueryFailure(kind: .failed, detail: "the job failed"))
        }
        guard let size = try await store.resultSize(of: job.id) else { throw Problem.unknownJob(job.id.description) }
        guard size.all > ResponseBudget.smallBytes else { return try await smallResult(of: job, as: format) }
        // The request, a query's part as it is kept, and what is made of it.
        let lease = try responses.lease(2 * size.request + format.copies * size.largestOutcome)
        // Expired between the two looks at the store.
        guard let queries = try await store.queries(of: job.id), size.outcomes == queries.count else {
            throw Problem.unknownJob(job.id.description)
        }
        let stream = ResultStream(
            store: store, job: job, queries: queries, format: format, lane: resultMaking, lease: lease)
        var response = Response(headers: Self.resultHeaders, body: .stream(stream))
        response.headers[.contentType] = format.contentType
        return response
    }

    private func smallResult(of job: Job, as format: ResultDocument.Format) async throws -> Response {
        let outcomes = try await store.outcomes(of: job.id)
        guard let queries = try await store.queries(of: job.id), outcomes.count == queries.count else {
            throw Problem.unknownJob(job.id.description)
        }
        let document = ResultDocument(isList: job.isList, queries: queries, outcomes: outcomes)
        return Response(
            contentType: format.contentType, body: try document.bytes(as: format), headers: Self.resultHeaders)
    }
}

struct JobList: Encodable {
    var jobs: [JobDocument]
    /// What to send as `cursor` for the next page; absent on the last one.
    var nextCursor: String?

    enum CodingKeys: String, CodingKey {
        case jobs
        case nextCursor = "next_cursor"
    }
}

extension Operation.Answer {
    /// A job's result, in each of the forms that it has.
    static func results(
        _ description: String, headers: [(name: String, schema: Schema)] = []
    ) -> Operation.Answer {
        let forms = ResultDocument.Format.allCases.map { format in
            switch format {
            case .json: (format.mediaType, Schema.reference(.queryResults))
            case .ndjson: (format.mediaType, Schema.string("A line a query, as the entries of a list in JSON."))
            case .csv: (format.mediaType, Schema.string("A line a sequence, or a line a failed query (RFC 4180)."))
            }
        }
        return Operation.Answer(status: .ok, content: .init(description: description, forms: forms), headers: headers)
    }
}

extension ResultDocument.Format {
    /// How often a query's result is in memory, at most, while it is made: as JSON and in pieces; for CSV also as the values read from it.
    fileprivate var copies: Int { self == .csv ? 10 : 4 }
}
