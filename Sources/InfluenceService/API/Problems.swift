import Attribution
import HTTP
import HTTPTypes
import JSON

/// The problems of this service's own subject.
///
/// A request is answered with 400 if it is malformed (no JSON, a malformed query item), and with 422 if it is JSON but not a query that
/// can be answered; `field` is then the path of the member that is at fault, such as `[3].candidates.limit`.
extension Problem {
    static func malformedJSON(_ mistake: JSONReader.Mistake) -> Problem {
        Problem(
            .malformedJSON,
            detail: "The body is not JSON: line \(mistake.line), column \(mistake.column): \(mistake.reason).")
    }

    static func malformedCompression(_ reason: String) -> Problem {
        Problem(.malformedCompression, detail: "The body cannot be decompressed: \(reason)")
    }

    static func unsupportedMediaType(_ detail: String, headers: HTTPFields) -> Problem {
        Problem(.unsupportedMediaType, detail: detail, headers: headers)
    }

    static func notAcceptable(available: [String]) -> Problem {
        Problem(.notAcceptable, detail: "The Accept field allows none of \(available.joined(separator: ", ")).")
    }

    static func unusableField(_ field: String, _ reason: String) -> Problem {
        Problem(
            .unusableField,
            detail: "\(field.isEmpty ? "The body" : field): \(reason).", field: field.isEmpty ? nil : field)
    }

    static func unusableRecord(line: Int, field: String?, reason: String) -> Problem {
        Problem(.unusableRecord, detail: "Line \(line): \(reason)", field: field, line: line)
    }

    static func unknownJob(_ id: String) -> Problem {
        Problem(.unknownJob, detail: "There is no job \"\(id)\": the id is wrong, or the job has expired.")
    }

    static func unknownSequence(_ id: String) -> Problem {
        Problem(.unknownSequence, detail: "The corpus has no sequence \"\(id)\".")
    }

    static func unknownProblem(_ name: String) -> Problem {
        Problem(
            .unknownProblem, detail: "There is no kind of problem named \"\(name)\": GET /problems lists them all.")
    }

    static func jobNotFinished(_ job: Job) -> Problem {
        Problem(
            .jobNotFinished,
            detail: "The job is still \(job.status.rawValue): ask for its result when it has ended.",
            headers: [.retryAfter: "1"])
    }

    static func jobCancelled(_ id: JobIdentifier) -> Problem {
        Problem(.jobCancelled, detail: "The job \(id) was cancelled and has no result: post the query again.")
    }

    static func jobFinished(_ job: Job) -> Problem {
        Problem(
            .jobFinished, detail: "The job has already \(job.status.rawValue), so it can no longer be cancelled.")
    }

    static func scoresNotKept(_ id: JobIdentifier) -> Problem {
        Problem(
            .scoresNotKept,
            detail: "The job \(id) keeps only the scores of its result: post the query again with all_scores: true.")
    }

    static func completionsBusy(running: Int) -> Problem {
        Problem(
            .completionsBusy,
            detail: "\(running) completions are running, and none ended while this request waited: try again later.",
            headers: [.retryAfter: "5"])
    }

    static func starting(stage: String) -> Problem {
        Problem(
            .starting, detail: "The server is starting (\(stage)). Try again when /readyz reports that it is ready.",
            headers: [.retryAfter: "2"])
    }

    static func startFailed(_ reason: String) -> Problem {
        Problem(.startFailed, detail: "The server could not start: \(reason)")
    }

    static let stopping = Problem(
        .stopping, detail: "The server is stopping. Send the request again after its next start.",
        headers: [.retryAfter: "10"])

    static let storageFull = Problem(
        .storageFull,
        detail:
            "The disk with the workspace is full, and nothing of the request was kept. Try again when it has free space."
    )

    init(_ failure: QueryFailure) {
        self =
            switch failure.kind {
            case .unusable: .unusableField(failure.field ?? "", failure.detail)
            case .cancelled: Problem(.jobCancelled, detail: failure.detail)
            case .failed: Problem(.queryFailed, detail: failure.detail)
            case .abandoned: Problem(.jobAbandoned, detail: failure.detail)
            }
    }

    init(_ error: IngestionError) {
        self =
            switch error {
            case .malformed(let line, let reason):
                Problem(.malformedJSON, detail: "Line \(line): \(reason)", line: line)
            case .unusable(let line, let field, let reason): .unusableRecord(line: line, field: field, reason: reason)
            case .tooManyRecords(let limit):
                Problem(
                    .tooManyRecords, detail: "The body has more than \(limit) records: send them in several requests.")
            case .diskFull: .storageFull
            case .failed(let reason): Problem(.ingestionFailed, detail: reason)
            }
    }

    init(_ error: SubmissionError) {
        let retry: HTTPFields = [.retryAfter: "10"]
        self =
            switch error {
            case .queueFull(let queries, let limit):
                Problem(
                    .queueFull,
                    detail: """
                        The queue is full: \(queries) queries are waiting or running, of at most \(limit). Try again when some of them \
                        have finished.
                        """, headers: retry)
            case .memoryFull(let bytes, let adding, let limit):
                Problem(
                    .queueFull,
                    detail: """
                        The waiting and running queries take \(bytes) bytes of memory, and these would take \(adding) more, but all \
                        together are allowed at most \(limit) (jobs.maximum_queued_bytes): try again when some have finished.
                        """, headers: retry)
            case .tooLarge(let bytes, let limit):
                Problem(
                    .bodyTooLarge,
                    detail: """
                        The queries would take \(bytes) bytes of memory while they wait and run, and all waiting and running queries \
                        together are allowed at most \(limit) (jobs.maximum_queued_bytes): send them in parts, or with shorter texts.
                        """)
            case .tooCostly(_, let excess): .unusableField("", excess.reason)
            case .stopping: .stopping
            case .keyReused:
                Problem(
                    .idempotencyKeyReused,
                    detail:
                        "Another request was sent with this Idempotency-Key: send each request with a key of its own.",
                    field: "Idempotency-Key")
            case .tooManyQueries(let waiting, let limit):
                Problem(
                    .tooManyQueries,
                    detail: """
                        \(waiting) queries of this token are waiting or running, of at most \(limit): try again when some of them have \
                        finished.
                        """, headers: retry)
            }
    }
}

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
