import Attribution
import Foundation
import HTTP
import HTTPTypes

extension API {
    var jobRoutes: [Route] {
        [
            route(
                .get, "/v1/jobs", "List jobs, the newest first", items: ["status", "limit", "cursor"], getJobs),
            route(.get, "/v1/jobs/{id}", "See how far a job has come", getJob),
            route(
                .get, "/v1/jobs/{id}/result", "Get a job's ranked sequences as JSON, NDJSON or CSV", getResult),
            route(.delete, "/v1/jobs/{id}", "Cancel a job that has not ended", scope: .query, deleteJob),
        ]
    }

    private struct JobList: Encodable {
        var jobs: [JobDocument]
        /// What to send as `cursor` for the next page; absent on the last one.
        var nextCursor: String?

        enum CodingKeys: String, CodingKey {
            case jobs
            case nextCursor = "next_cursor"
        }
    }

    @Sendable private func getJobs(_ request: Request) async throws -> Response {
        let statuses = Job.Status.allCases.map(\.rawValue).joined(separator: ", ")
        let page = try await store.jobs(
            status: try request.item("status", expected: "one of \(statuses)", Job.Status.init(rawValue:)),
            limit: try request.number("limit", in: 1...1_000, default: 50),
            after: try request.item("cursor", expected: "the next_cursor of an earlier page") { Int64($0) })
        var documents: [JobDocument] = []
        for job in page.jobs { documents.append(JobDocument(job, progress: await batcher.progress(of: job.id))) }
        return try .json(encoding: JobList(jobs: documents, nextCursor: page.next.map(String.init)))
    }

    @Sendable private func getJob(_ request: Request) async throws -> Response {
        let job = try await job(of: request)
        return try .json(
            encoding: JobDocument(
                job, progress: await batcher.progress(of: job.id), queries: try await store.queries(of: job.id)))
    }

    @Sendable private func getResult(_ request: Request) async throws -> Response {
        guard let format = resultFormat(for: request) else {
            throw Problem.notAcceptable(available: ResultDocument.Format.allCases.map(\.mediaType))
        }
        return try await result(of: try await job(of: request), as: format)
    }

    /// Cancels a job. Cancelling it twice is the same as once; a job that has ended otherwise is left alone, with 409.
    @Sendable private func deleteJob(_ request: Request) async throws -> Response {
        let name = try request.parameter("id")
        guard let id = JobIdentifier(name), let (job, didCancel) = try await batcher.cancel(id) else {
            throw Problem.unknownJob(name)
        }
        guard didCancel || job.status == .cancelled else { throw Problem.jobFinished(job) }
        return try .json(encoding: JobDocument(job))
    }

    private func job(of request: Request) async throws -> Job {
        let name = try request.parameter("id")
        guard let id = JobIdentifier(name), let job = try await store.job(id) else { throw Problem.unknownJob(name) }
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
        let outcomes = try await store.outcomes(of: job.id)
        // Expired between the two looks at the store.
        guard let queries = try await store.queries(of: job.id), outcomes.count == queries.count else {
            throw Problem.unknownJob(job.id.description)
        }
        let document = ResultDocument(isList: job.isList, queries: queries, outcomes: outcomes)
        // Results can be megabytes: their making is no work for the few threads that answer requests.
        let bytes = try await lookups.run { try document.bytes(as: format) }
        return Response(
            contentType: format.contentType, body: bytes, headers: [.vary: "Accept", .cacheControl: "no-store"])
    }
}
