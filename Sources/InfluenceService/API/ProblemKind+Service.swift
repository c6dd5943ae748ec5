import HTTP
import HTTPTypes

// The kinds of problems of this service's own subject.
extension ProblemKind {
    static let malformedJSON = ProblemKind(
        "malformed-json", "Malformed JSON", .badRequest,
        "The body, or a line of it, is not JSON (RFC 8259) in UTF-8. The detail says where and what was expected there."
    )
    static let malformedCompression = ProblemKind(
        "malformed-compression", "Malformed compression", .badRequest,
        "The body is not what its Content-Encoding says, or is cut short.")
    static let unsupportedMediaType = ProblemKind(
        "unsupported-media-type", "Unsupported media type", .unsupportedMediaType,
        "The body is of a media type or in a content coding that the call does not take.")
    static let notAcceptable = ProblemKind(
        "not-acceptable", "Not acceptable", .notAcceptable,
        "The field Accept allows none of the forms that there are. The detail lists them.")
    static let unusableField = ProblemKind(
        "unusable-field", "Unusable field", .unprocessableContent,
        "The body is JSON, but not a request that can be answered. The member field has the path of what is at fault, such as "
            + "[3].candidates.limit; it is absent where that is the whole body.")
    static let unusableRecord = ProblemKind(
        "unusable-record", "Unusable record", .unprocessableContent,
        "A record cannot be added to the corpus, and nothing of the request was. The member line counts from 1; field names the "
            + "record's member.")
    static let tooManyRecords = ProblemKind(
        "too-many-records", "Too many records", .contentTooLarge,
        "There are more records in the body than are taken at once, and nothing was added. Send them in parts.")
    static let unknownJob = ProblemKind(
        "unknown-job", "Unknown job", .notFound, "The id is wrong, or the job's result has expired.")
    static let unknownSequence = ProblemKind(
        "unknown-sequence", "Unknown sequence", .notFound,
        "The corpus has no sequence of this id. A slash in an id is sent as %2F.")
    static let unknownProblem = ProblemKind(
        "unknown-problem", "Unknown problem", .notFound, "There is no kind of problem of this name.")
    static let jobNotFinished = ProblemKind(
        "job-not-finished", "Job not finished", .conflict,
        "The job is queued or running: ask for its result when its status is succeeded.")
    static let jobCancelled = ProblemKind(
        "job-cancelled", "Job cancelled", .conflict,
        "The job was cancelled and has no result. Post the query again.")
    static let jobFinished = ProblemKind(
        "job-finished", "Job finished", .conflict, "The job has ended, and cannot be cancelled any more.")
    static let queryFailed = ProblemKind(
        "query-failed", "Query failed", .internalServerError,
        "Something on the server's side failed while the query was answered. The detail and the log say what.")
    static let ingestionFailed = ProblemKind(
        "ingestion-failed", "Ingestion failed", .internalServerError,
        "Something on the server's side failed while sequences were added, and none was. The detail and the log say what."
    )
    static let jobAbandoned = ProblemKind(
        "job-abandoned", "Job abandoned", .internalServerError,
        "The server died each time the job ran, and gave it up.")
    static let idempotencyKeyReused = ProblemKind(
        "idempotency-key-reused", "Idempotency key reused", .unprocessableContent,
        "Another request was sent with the same Idempotency-Key. Send each request with a key of its own.")
    static let queueFull = ProblemKind(
        "queue-full", "Queue full", .serviceUnavailable,
        "As many queries are waiting as the server allows, by number or by the memory that they take. Try again after as many seconds as "
            + "Retry-After says.")
    static let starting = ProblemKind(
        "starting", "Starting", .serviceUnavailable,
        "The model is being loaded. /readyz tells how far that is.")
    static let startFailed = ProblemKind(
        "start-failed", "Start failed", .serviceUnavailable,
        "The server could not load what it needs. Someone has to look at it.")
    static let stopping = ProblemKind(
        "stopping", "Stopping", .serviceUnavailable,
        "The server is stopping. Jobs that it has accepted are kept, and go on when it is back.")
    static let storageFull = ProblemKind(
        "storage-full", "Storage full", HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage"),
        "The disk with the workspace is full: nothing was kept of the request.")

    static let tokenMissing = ProblemKind(
        "token-missing", "Token missing", .unauthorized,
        "This server wants a token: send Authorization: Bearer TOKEN. tributary token create makes one.")
    static let tokenInvalid = ProblemKind(
        "token-invalid", "Token invalid", .unauthorized,
        "The Authorization field has no token, or not one of this server's, or one that was revoked.")
    static let tokenExpired = ProblemKind(
        "token-expired", "Token expired", .unauthorized, "The token has expired: ask for a new one.")
    static let scopeTooSmall = ProblemKind(
        "scope-too-small", "Scope too small", .forbidden,
        "The token's scope does not include what was asked for. WWW-Authenticate says which one does.")
    static let tooManyRequests = ProblemKind(
        "too-many-requests", "Too many requests", .tooManyRequests,
        "The token has sent as many requests a minute as it may. Try again after as many seconds as Retry-After says.")
    static let tooManyQueries = ProblemKind(
        "too-many-queries", "Too many queries", .tooManyRequests,
        "As many of the token's queries wait as may. Try again after as many seconds as Retry-After says.")

    /// All of the above.
    static let service: [ProblemKind] = [
        .malformedJSON, .malformedCompression, .unsupportedMediaType, .notAcceptable, .unusableField, .unusableRecord,
        .tooManyRecords, .unknownJob, .unknownSequence, .unknownProblem, .jobNotFinished, .jobCancelled, .jobFinished,
        .queryFailed, .ingestionFailed, .jobAbandoned, .idempotencyKeyReused, .queueFull, .starting, .startFailed,
        .stopping,
        .storageFull, .tokenMissing,
        .tokenInvalid, .tokenExpired, .scopeTooSmall, .tooManyRequests, .tooManyQueries,
    ]

    /// Every kind that the service answers with.
    static let all = (http + service).sorted { $0.name < $1.name }
}
