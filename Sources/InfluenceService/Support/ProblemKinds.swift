import HTTP
import HTTPTypes

// The kinds of problems with which this service answers, in addition to those of HTTP itself.
extension ProblemKind {
    static let malformedJSON = ProblemKind(
        "malformed-json", title: "Malformed JSON", status: .badRequest,
        "The body, or a line of it, is not JSON (RFC 8259) in UTF-8. The detail has the position, and what was expected there."
    )
    static let malformedCompression = ProblemKind(
        "malformed-compression", title: "Malformed compression", status: .badRequest,
        "The body is not in the format of its Content-Encoding, or is incomplete.")
    static let unsupportedMediaType = ProblemKind(
        "unsupported-media-type", title: "Unsupported media type", status: .unsupportedMediaType,
        "The call does not accept the body's media type or content coding. The detail says which it accepts.")
    static let notAcceptable = ProblemKind(
        "not-acceptable", title: "Not acceptable", status: .notAcceptable,
        "The Accept field allows none of the media types that the server can answer with. The detail lists them.")
    static let unusableField = ProblemKind(
        "unusable-field", title: "Unusable field", status: .unprocessableContent,
        "The body is JSON, but a member of it has a value that cannot be used. The problem's field is that member's path, such as "
            + "[3].candidates.limit; it is absent if the whole body is at fault.")
    static let unusableRecord = ProblemKind(
        "unusable-record", title: "Unusable record", status: .unprocessableContent,
        "A record cannot be added to the corpus, so no record of the request was added. The problem's line is the record's, counted from "
            + "1; its field is the record's member.")
    static let tooManyRecords = ProblemKind(
        "too-many-records", title: "Too many records", status: .contentTooLarge,
        "The body has more records than the server accepts in one request, and none was added. Send them in several requests."
    )
    static let unknownJob = ProblemKind(
        "unknown-job", title: "Unknown job", status: .notFound, "The id is wrong, or the job has expired.")
    static let unknownSequence = ProblemKind(
        "unknown-sequence", title: "Unknown sequence", status: .notFound,
        "The corpus has no sequence of this id. A slash in an id is sent as %2F.")
    static let unknownProblem = ProblemKind(
        "unknown-problem", title: "Unknown problem", status: .notFound,
        "There is no kind of problem with this name. GET /problems lists them all.")
    static let jobNotFinished = ProblemKind(
        "job-not-finished", title: "Job not finished", status: .conflict,
        "The job is queued or running: ask for its result when it has ended.")
    static let jobCancelled = ProblemKind(
        "job-cancelled", title: "Job cancelled", status: .conflict,
        "The job was cancelled and has no result. Post the query again.")
    static let scoresNotKept = ProblemKind(
        "scores-not-kept", title: "Scores not kept", status: .conflict,
        "The job keeps only the scores of its result: the query did not ask for all. Post the query again with all_scores: true."
    )
    static let jobFinished = ProblemKind(
        "job-finished", title: "Job finished", status: .conflict,
        "The job has already ended, so it can no longer be cancelled.")
    static let queryFailed = ProblemKind(
        "query-failed", title: "Query failed", status: .internalServerError,
        "The server failed while it answered the query. The detail and the server's log say why.")
    static let ingestionFailed = ProblemKind(
        "ingestion-failed", title: "Ingestion failed", status: .internalServerError,
        "The server failed while it added sequences, and none was added. The detail and the server's log say why."
    )
    static let jobAbandoned = ProblemKind(
        "job-abandoned", title: "Job abandoned", status: .internalServerError,
        "The server stopped unexpectedly each time it ran the job, so it does not run the job again. Its log may say why."
    )
    static let idempotencyKeyReused = ProblemKind(
        "idempotency-key-reused", title: "Idempotency key reused", status: .unprocessableContent,
        "Another request was sent with the same Idempotency-Key. Send each request with a key of its own.")
    static let queueFull = ProblemKind(
        "queue-full", title: "Queue full", status: .serviceUnavailable,
        "The queue is full, by the number of queries or by the memory that they take. Try again after the number of seconds in "
            + "Retry-After.")
    static let completionsBusy = ProblemKind(
        "completions-busy", title: "Completions busy", status: .serviceUnavailable,
        "The server is computing the most completions that its configuration allows, and none of them ended while this request waited. "
            + "Try again after the number of seconds in Retry-After.")
    static let starting = ProblemKind(
        "starting", title: "Starting", status: .serviceUnavailable,
        "The server is still loading the model. Try again after the number of seconds in Retry-After; /readyz reports the progress."
    )
    static let startFailed = ProblemKind(
        "start-failed", title: "Start failed", status: .serviceUnavailable,
        "The server could not load the model, its factors or its corpus. The detail says why; an operator has to correct that and "
            + "restart the server."
    )
    static let stopping = ProblemKind(
        "stopping", title: "Stopping", status: .serviceUnavailable,
        "The server is stopping. It keeps the jobs that it has accepted, and continues them after its next start. Try again then."
    )
    static let storageFull = ProblemKind(
        "storage-full", title: "Storage full",
        status: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"),
        "The disk with the workspace is full, and nothing of the request was kept. Try again when the disk has free space."
    )

    static let tokenMissing = ProblemKind(
        "token-missing", title: "Token missing", status: .unauthorized,
        "The server requires a token. Send the field Authorization: Bearer TOKEN; tributary token create makes a token."
    )
    static let tokenInvalid = ProblemKind(
        "token-invalid", title: "Token invalid", status: .unauthorized,
        "The Authorization field has no token, a token that this server does not know, or one that was revoked.")
    static let tokenExpired = ProblemKind(
        "token-expired", title: "Token expired", status: .unauthorized,
        "The token has expired. Ask the operator for a new one.")
    static let scopeTooSmall = ProblemKind(
        "scope-too-small", title: "Scope too small", status: .forbidden,
        "The token's scope does not allow the call. WWW-Authenticate names the scope that does.")
    static let tooManyRequests = ProblemKind(
        "too-many-requests", title: "Too many requests", status: .tooManyRequests,
        "The token has reached its limit of requests per minute. Try again after the number of seconds in Retry-After.")
    static let tooManyQueries = ProblemKind(
        "too-many-queries", title: "Too many queries", status: .tooManyRequests,
        "The token has reached its limit of waiting and running queries. Try again after the number of seconds in Retry-After."
    )

    static let service: [ProblemKind] = [
        .malformedJSON, .malformedCompression, .unsupportedMediaType, .notAcceptable, .unusableField, .unusableRecord,
        .tooManyRecords, .unknownJob, .unknownSequence, .unknownProblem, .jobNotFinished, .jobCancelled, .jobFinished,
        .scoresNotKept, .queryFailed, .ingestionFailed, .jobAbandoned, .idempotencyKeyReused, .queueFull,
        .completionsBusy, .starting,
        .startFailed, .stopping, .storageFull, .tokenMissing, .tokenInvalid, .tokenExpired, .scopeTooSmall,
        .tooManyRequests, .tooManyQueries,
    ]

    /// Every kind with which the server answers.
    static let all = (http + service).sorted { $0.name < $1.name }
}
