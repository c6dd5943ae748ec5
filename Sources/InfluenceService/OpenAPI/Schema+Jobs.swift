import Attribution

extension Schema {
    private static func time(_ description: String) -> Schema { string(description, format: "date-time") }

    private static func seconds(_ description: String) -> Schema { number(description, from: 0) }

    static let job = object(
        "A request for influence, and how far it has come.",
        .required("id", string("Names the job.")),
        .optional(
            "title",
            object(
                "Its first query, in the few words that a list has room for; what is cut ends in an ellipsis.",
                .required("prompt", string("The prompt's beginning.")),
                .required("completion", string("The completion's beginning.")))),
        .required("status", choice("How far it is.", of: Job.Status.self)),
        .optional(
            "stage", choice("What its sweep is doing, while it runs.", of: InfluenceProgress.Stage.self)),
        .optional(
            "progress",
            object(
                "Of the stage.", .required("done", integer("Steps done.", from: 0)),
                .required("total", integer("Steps in all.", from: 0)))),
        .required("queries", integer("How many queries it has.", from: 1)),
        .required("failed_queries", integer("How many of them have failed.", from: 0)),
        .required("created_at", time("When it was accepted.")),
        .optional("started_at", time("When its first sweep began.")),
        .optional("finished_at", time("When it ended.")),
        .required(
            "attempts",
            integer("How often it was started: more than once where the server died while it ran.", from: 0)),
        .required("timings", reference(.jobTimings)),
        .optional("error", reference(.embeddedProblem)),
        .optional("result", string("The path of its result, once there is one.")),
        .optional(
            "request",
            oneOf(
                "The queries as they were understood, in the shape in which they were posted; not in lists of jobs.",
                reference(.query), array("Queries.", of: reference(.query)))))

    static let jobTimings = object(
        "Where its time went, in seconds.",
        .optional("queue", seconds("From the request to its first sweep.")),
        .optional("total", seconds("From the request to the last result.")),
        .optional("gradients", seconds("The queries' gradients.")),
        .optional("candidates", seconds("The choice of candidates.")),
        .optional("sweep", seconds("The sweep over all candidates.")),
        .optional("rescore", seconds("Scoring the best again.")),
        .optional(
            "batch",
            object(
                "The last sweep that answered queries of the job.",
                .required("id", string("Jobs with the same one ran together.")),
                .required("size", integer("Queries that shared it.", from: 1)),
                .required("number", integer("Counts the sweeps since the server's start.", from: 1)))),
        .required("sweeps", integer("How many sweeps it took.", from: 0)))

    static let event = object(
        "One of the events of a stream (HTML, section 9.2).",
        .required(
            "event",
            choice(
                "status: the job has another status; progress: of its sweep; query: one of its queries has ended; end: the job has.",
                ["status", "progress", "query", "end"])),
        .required("id", string("What to send as Last-Event-ID to go on after it.")),
        .required("data", string("JSON: for status and end the job, as in lists of jobs.")))

    static let jobList = object(
        "Some jobs, the newest first.",
        .required("jobs", array("The jobs, without their queries.", of: reference(.job))),
        .optional("next_cursor", string("What to send as cursor for the next page; absent on the last one.")))
}
