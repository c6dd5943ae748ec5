import Attribution
import Foundation
import HTTP

/// A job as clients see it.
struct JobDocument: Encodable {
    var id: String
    var title: JobTitle?
    var status: Job.Status
    var stage: InfluenceProgress.Stage?
    var progress: Progress?
    /// How many queries it has, and how many of them have failed so far.
    var queries: Int
    var failedQueries: Int
    var createdAt: String
    var startedAt: String?
    var finishedAt: String?
    /// More than one if the server died while the job ran.
    var attempts: Int
    var timings: JobTimings
    var error: ProblemDocument?
    /// The path of its result, as soon as it has one.
    var result: String?
    /// The path of the scores of all candidates, if it keeps them.
    var scores: String?
    /// The queries as the server understood them; absent in lists of jobs.
    var request: Request?

    struct Progress: Encodable {
        var stage: InfluenceProgress.Stage
        var done: Int
        var total: Int
    }

    /// In the shape in which it was posted.
    enum Request: Encodable {
        case one(InfluenceQuery)
        case list([InfluenceQuery])

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .one(let query): try container.encode(query)
            case .list(let queries): try container.encode(queries)
            }
        }
    }

    enum CodingKeys: String, CodingKey {
        case id, title, status, stage, progress, queries
        case failedQueries = "failed_queries"
        case createdAt = "created_at"
        case startedAt = "started_at"
        case finishedAt = "finished_at"
        case attempts, timings, error, result, scores, request
    }

    init(_ snapshot: JobSnapshot) {
        self.init(snapshot.job, progress: snapshot.progress, queries: snapshot.queries)
    }

    /// - Parameter progress: The progress of its sweep, which is newer than the job's own from the store.
    init(_ job: Job, progress: InfluenceProgress? = nil, queries: [InfluenceQuery]? = nil) {
        id = job.id.description
        title = job.title
        status = job.status
        if job.status == .running, let progress = progress ?? job.progress {
            stage = progress.stage
            self.progress = Progress(stage: progress.stage, done: progress.done, total: progress.total)
        }
        self.queries = job.queryCount
        failedQueries = job.failedQueryCount
        createdAt = job.created.rfc3339
        startedAt = job.started?.rfc3339
        finishedAt = job.finished?.rfc3339
        attempts = job.attempts
        timings = job.timings
        error = job.failure.map { ProblemDocument(Problem($0)) }
        if job.hasResult { result = job.id.resultPath }
        if job.hasResult, queries?.contains(where: \.allScores) == true { scores = job.id.path + "/scores" }
        if let queries { request = job.isList ? .list(queries) : queries.first.map(Request.one) }
    }
}

extension Job {
    /// Whether GET .../result answers with a result: a list has one even if all its queries failed.
    var hasResult: Bool { status == .succeeded || (status == .failed && isList && failure?.kind != .abandoned) }
}

extension JobIdentifier {
    var path: String { "/v1/jobs/\(self)" }
    var resultPath: String { path + "/result" }
}
