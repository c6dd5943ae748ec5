import Attribution
import HTTP
import HTTPTypes

/// The problems of this service's own subject.
///
/// A request is answered with 400 where it is not what it says it is (no JSON, a malformed query item), with 422 where it is
/// JSON but not a query that can be answered; `field` then has the path of the member at fault, as in `[3].candidates.limit`.
extension Problem {
    static func malformedJSON(_ mistake: JSONReader.Mistake) -> Problem {
        Problem(
            type: "/problems/malformed-json", title: "Malformed JSON", status: .badRequest,
            detail: "The body is not JSON: line \(mistake.line), column \(mistake.column): \(mistake.reason).")
    }

    static func unsupportedMediaType(_ detail: String) -> Problem {
        Problem(
            type: "/problems/unsupported-media-type", title: "Unsupported media type", status: .unsupportedMediaType,
            detail: detail)
    }

    static func notAcceptable(available: [String]) -> Problem {
        Problem(
            type: "/problems/not-acceptable", title: "Not acceptable", status: .notAcceptable,
            detail: "The Accept field allows none of \(available.joined(separator: ", ")).")
    }

    /// A member of the body has a value that cannot be used.
    static func unusableField(_ field: String, _ reason: String) -> Problem {
        Problem(
            type: "/problems/unusable-field", title: "Unusable field", status: .unprocessableContent,
            detail: "\(field.isEmpty ? "The body" : field): \(reason).", field: field.isEmpty ? nil : field)
    }

    static func unknownJob(_ id: String) -> Problem {
        Problem(
            type: "/problems/unknown-job", title: "Unknown job", status: .notFound,
            detail: "There is no job \"\(id)\": the id is wrong, or its result has expired.")
    }

    static func unknownSequence(_ id: String) -> Problem {
        Problem(
            type: "/problems/unknown-sequence", title: "Unknown sequence", status: .notFound,
            detail: "The corpus has no sequence \"\(id)\".")
    }

    /// The result of a job that has not ended was asked for.
    static func jobNotFinished(_ job: Job) -> Problem {
        Problem(
            type: "/problems/job-not-finished", title: "Job not finished", status: .conflict,
            detail: "The job is \(job.status.rawValue): ask for its result when its status is succeeded.",
            headers: [.retryAfter: "1"])
    }

    static func jobCancelled(_ id: JobIdentifier) -> Problem {
        Problem(
            type: "/problems/job-cancelled", title: "Job cancelled", status: .conflict,
            detail: "The job \(id) was cancelled and has no result: post the query again.")
    }

    /// A job that has ended cannot be cancelled any more.
    static func jobFinished(_ job: Job) -> Problem {
        Problem(
            type: "/problems/job-finished", title: "Job finished", status: .conflict,
            detail: "The job has already \(job.status.rawValue): there is nothing to cancel.")
    }

    static func queueFull(queries: Int, limit: Int) -> Problem {
        Problem(
            type: "/problems/queue-full", title: "Queue full", status: .serviceUnavailable,
            detail: "\(queries) queries are waiting and at most \(limit) may: try again when some have finished.",
            headers: [.retryAfter: "10"])
    }

    static func starting(stage: String) -> Problem {
        Problem(
            type: "/problems/starting", title: "Starting", status: .serviceUnavailable,
            detail: "The server is starting (\(stage)): /readyz tells when it is ready.", headers: [.retryAfter: "2"])
    }

    static func startFailed(_ reason: String) -> Problem {
        Problem(
            type: "/problems/start-failed", title: "Start failed", status: .serviceUnavailable,
            detail: "The server could not start: \(reason)")
    }

    static let stopping = Problem(
        type: "/problems/stopping", title: "Stopping", status: .serviceUnavailable,
        detail: "The server is stopping: send the request again when it is back.", headers: [.retryAfter: "10"])

    static let storageFull = Problem(
        type: "/problems/storage-full", title: "Storage full",
        status: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"),
        detail: "The disk with the workspace is full: no job can be accepted before there is space on it.")

    /// Why a query has no result.
    init(_ failure: QueryFailure) {
        self =
            switch failure.kind {
            case .unusable: .unusableField(failure.field ?? "", failure.detail)
            case .cancelled:
                Problem(
                    type: "/problems/job-cancelled", title: "Job cancelled", status: .conflict, detail: failure.detail)
            case .failed:
                Problem(
                    type: "/problems/query-failed", title: "Query failed", status: .internalServerError,
                    detail: failure.detail)
            case .abandoned:
                Problem(
                    type: "/problems/job-abandoned", title: "Job abandoned", status: .internalServerError,
                    detail: failure.detail)
            }
    }
}

/// A problem inside another document.
struct ProblemDocument: Encodable {
    var type: String
    var title: String
    var status: Int
    var detail: String
    var field: String?

    init(_ problem: Problem) {
        type = problem.type
        title = problem.title
        status = problem.status.code
        detail = problem.detail
        field = problem.field
    }
}
