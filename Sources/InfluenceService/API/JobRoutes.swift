import Attribution
import Foundation
import HTTP
import HTTPTypes

extension API {
    var jobOperations: [Operation] {
        let id = Operation.Parameter.path("id", "The job's id.", schema: .string("An id."))
        return [
            Operation(
                method: .get, pattern: "/v1/jobs", id: "listJobs", tag: .jobs, scope: .read,
                summary: "List jobs, the newest first",
                parameters: [
                    .query("status", "Only jobs of this status.", schema: .choice("A status.", of: Job.Status.self)),
                    .query(
                        "failures", "true: only jobs of which a query failed, whatever their status.",
                        schema: .choice("Whether to list only these.", ["true", "false"])),
                    .limit(default: 50), .cursor,
                ], answers: [.json("A page of jobs.", .jobList)], handler: getJobs),
            Operation(
                method: .get, pattern: "/v1/jobs/{id}", id: "getJob", tag: .jobs, scope: .read,
                summary: "Get a job and its progress",
                parameters: [id], answers: [.json("The job.", .job)], problems: [.unknownJob, .unknownRoute],
                handler: getJob),
            Operation(
                method: .get, pattern: "/v1/jobs/{id}/result", id: "getResult", tag: .jobs, scope: .read,
                summary: "Get a job's ranked sequences as JSON, NDJSON or CSV",
                details: "The field Accept chooses the form; the default is JSON.",
                parameters: [id, .ifNoneMatch],
                answers: [
                    .results("The result.", headers: [("ETag", .string("The tag of the result in this form."))]),
                    .notModified,
                ],
                problems: [
                    .unknownJob, .unknownRoute, .notAcceptable, .jobNotFinished, .jobCancelled, .unusableField,
                    .queryFailed, .jobAbandoned,
                ], handler: getResult),
            Operation(
                method: .get, pattern: "/v1/jobs/{id}/events", id: "followJob", tag: .jobs, scope: .read,
                summary: "Follow a job's progress as server-sent events",
                details: """
                    The events are status, progress, query and end; the data of each is JSON. A client that connects again with \
                    the id of the last event receives the events that it missed.
                    """,
                parameters: [
                    id, .header("Last-Event-ID", "The id of the last event seen.", schema: .string("An id.")),
                ],
                answers: [
                    Operation.Answer(
                        status: .ok,
                        content: .init(
                            description: "The events, until the job ends.",
                            forms: [("text/event-stream", .stream("Server-sent events.", of: .event))])),
                    .empty("The client has already seen the end.", status: .noContent),
                ], problems: [.unknownJob, .unknownRoute], handler: getEvents),
            Operation(
                method: .delete, pattern: "/v1/jobs/{id}", id: "cancelJob", tag: .jobs, scope: .query,
                summary: "Cancel a job that has not ended",
                details: "Cancelling a job twice has the same effect as once.",
                parameters: [id], answers: [.json("The job, cancelled.", .job)],
                problems: [.unknownJob, .unknownRoute, .jobFinished, .storageFull], handler: deleteJob),
        ]
    }

    @Sendable private func getJobs(_ request: Request) async throws -> Response {
        let statuses = Job.Status.allCases.map(\.rawValue).joined(separator: ", ")
        let status = try request.item("status", expected: "one of \(statuses)", Job.Status.init(rawValue:))
        let withFailures = try request.item("failures", expected: "true or false") { Bool($0) } ?? false
        let asked = try PageQuery(request, defaultLimit: 50)
        // Passing jobs have no cursor in the store, so they are only on the first page. Those that failed are forgotten.
        let passing =
            asked.cursor == nil && !withFailures
            ? store.board.passingJobs().filter { status == nil || $0.job.status == status } : []
        let shown = passing.prefix(asked.limit)
        var page = JobPage(jobs: [], next: PageQuery.cursors.upperBound)
        if shown.count < asked.limit {
            page = try await store.jobs(
                status: status, withFailures: withFailures, limit: asked.limit - shown.count, after: asked.cursor)
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
        // A result never changes: its job and its form identify it.
        let tag = EntityTag("\(job.id)-\(format.rawValue)")
        if job.hasResult, let response = request.notModified(tag, headers: Self.resultHeaders) { return response }
        var response = try await result(of: job, as: format)
        response.headers[.eTag] = tag.description
        return response
    }

    /// A private cache can keep a result, which depends on Accept.
    private static let resultHeaders: HTTPFields = [
        .vary: "Accept", .cacheControl: "private, max-age=86400, immutable",
    ]

    /// Follows a job. Status 204 tells a client that has seen the end not to reconnect (HTML, section 9.2.3).
    @Sendable private func getEvents(_ request: Request) async throws -> Response {
        let job = try await snapshot(of: request).job.id
        let events = JobEvents(after: HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] })
        guard !events.hasEnded else { return Response(status: .noContent) }
        let stream = JobEventStream(
            store: store, job: job, events: events, heartbeat: heartbeat, interval: eventInterval)
        // Proxies must not buffer the stream; this is the field for nginx.
        let headers: HTTPFields = HTTPField.Name("X-Accel-Buffering").map { [$0: "no"] } ?? [:]
        var response = Response(headers: headers, body: .stream(stream))
        response.headers[.contentType] = "text/event-stream"
        response.headers[.cacheControl] = "no-store"
        return response
    }

    /// Cancels a job. A second time has no further effect; a job that has ended otherwise is answered with 409.
    @Sendable private func deleteJob(_ request: Request) async throws -> Response {
        let name = try request.parameter("id")
        guard let id = JobIdentifier(name), let (job, didCancel) = try await runner.cancel(id) else {
            throw Problem.unknownJob(name)
        }
        guard didCancel || job.status == .cancelled else { throw Problem.jobFinished(job) }
        return try .json(encoding: JobDocument(job))
    }

    func snapshot(of request: Request) async throws -> JobSnapshot {
        let name = try request.parameter("id")
        guard let id = JobIdentifier(name), let job = try await store.snapshot(of: id) else {
            throw Problem.unknownJob(name)
        }
        return job
    }

    /// The form of results that the client prefers; nil if it accepts none.
    func resultFormat(for request: Request) -> ResultDocument.Format? {
        let formats = ResultDocument.Format.allCases
        let choice = ContentNegotiation.choose(request.headers[.accept], from: formats.map(\.mediaType))
        return formats.first { $0.mediaType == choice }
    }

    /// - Throws: A ``Problem``: 409 if it has not ended or was cancelled, its own if it failed.
    func result(of job: Job, as format: ResultDocument.Format) async throws -> Response {
        guard job.status.isFinal else { throw Problem.jobNotFinished(job) }
        guard job.status != .cancelled else { throw Problem.jobCancelled(job.id) }
        guard job.hasResult else {
            throw Problem(job.failure ?? QueryFailure(kind: .failed, detail: "the job failed"))
        }
        guard let size = try await store.resultSize(of: job.id) else { throw Problem.unknownJob(job.id.description) }
        guard size.all > ResponseBudget.smallBytes else { return try await smallResult(of: job, as: format) }
        // The request, a query's stored outcome, and its converted form.
        let lease = try responses.lease(2 * size.request + format.copies * size.largestOutcome)
        // The job may have expired between the two reads of the store.
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
    var nextCursor: String?

    enum CodingKeys: String, CodingKey {
        case jobs
        case nextCursor = "next_cursor"
    }
}

extension Operation.Answer {
    static func results(
        _ description: String, headers: [(name: String, schema: Schema)] = []
    ) -> Operation.Answer {
        let forms = ResultDocument.Format.allCases.map { format in
            switch format {
            case .json: (format.mediaType, Schema.reference(.queryResults))
            case .ndjson: (format.mediaType, Schema.string("One line per query, like the entries of a list in JSON."))
            case .csv: (format.mediaType, Schema.string("One line per sequence or failed query (RFC 4180)."))
            }
        }
        return Operation.Answer(status: .ok, content: .init(description: description, forms: forms), headers: headers)
    }
}

extension ResultDocument.Format {
    /// How often a query's result is in memory, at most, while it is converted: as JSON and in chunks; for CSV also as decoded values.
    fileprivate var copies: Int { self == .csv ? 10 : 4 }
}
