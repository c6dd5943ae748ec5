import Attribution

// Jobs and their events.
extension Schema {
    private static func time(_ description: String) -> Schema { string(description, format: "date-time") }

    static let job = object(
        "A request for influence, and its progress.",
        .text("id", "The job's id."),
        .optional(
            "title",
            object(
                "The job's first query, shortened for lists; shortened texts end in an ellipsis. A behaviour is shown by its first prompt, "
                    + "and a chat by its last two messages.",
                .text("prompt", "The beginning of the prompt."),
                .text("completion", "The beginning of the completion."), .others)),
        .required("status", choice("The state of the job.", of: Job.Status.self)),
        .optional("stage", choice("The stage of the job's sweep while it runs.", of: InfluenceProgress.Stage.self)),
        .optional(
            "progress",
            object(
                "The progress of the stage.",
                .required("stage", choice("The stage.", of: InfluenceProgress.Stage.self)),
                .count("done", "How many steps are done."),
                .count("total", "How many steps the stage has."))),
        .count("queries", "How many queries the job has.", from: 1),
        .count("failed_queries", "How many of its queries have failed."),
        .required("created_at", time("When the job was accepted.")),
        .optional("started_at", time("When the job's first sweep started.")),
        .optional("finished_at", time("When the job ended.")),
        .count("attempts", "How many times the job was started: more than once if the server died while the job ran."),
        .required("timings", reference(.jobTimings)), .optional("error", reference(.embeddedProblem)),
        .text("result", "The path of the job's result, as soon as it has one.").orAbsent,
        .text("scores", "The path of the scores of all candidates, if the job keeps them; absent in lists of jobs.")
            .orAbsent,
        .optional(
            "request",
            oneOf(
                "The queries as the server understood them, in the shape in which they were posted; absent in lists of jobs.",
                reference(.query), array("Queries.", of: reference(.query)))))

    static let allScores = object(
        "The scores of a query's candidates, in the order of the corpus.",
        .count("candidates", "How many candidates the query has."),
        .list(
            "scores", "The scores.",
            of: object(
                "A candidate and its score.", .text("id", "The id of the sequence."),
                .required("score", number("In nats; null if the model overflows on the sequence.").orNull),
                .required(
                    "rescored",
                    boolean("Whether the score was computed again with the uncompressed gradient.")))),
        .nextCursor)

    static let jobTimings = object(
        "How the job's time was spent, in seconds.",
        .value("queue", "From the request to the start of the first sweep.", from: 0).orAbsent,
        .value("total", "From the request to the last result.", from: 0).orAbsent,
        .value("gradients", "Computing the queries' gradients.", from: 0).orAbsent,
        .value("candidates", "Choosing the candidates.", from: 0).orAbsent,
        .value("sweep", "Scoring all candidates.", from: 0).orAbsent,
        .value("rescore", "Scoring the best candidates again.", from: 0).orAbsent,
        .optional(
            "batch",
            object(
                "The last query batch that had queries of the job.",
                .text("id", "The batch's id: jobs with the same id shared a sweep."),
                .count("size", "How many queries shared the sweep.", from: 1),
                .count("number", "The sweep's number since the server started.", from: 1))),
        .count("sweeps", "How many sweeps the job has taken."))

    static let event = object(
        "An event of a stream (HTML, section 9.2).",
        .required(
            "event",
            choice(
                "status: the job's status has changed; progress: its sweep has advanced; query: one of its queries has ended; end: "
                    + "the job has ended.",
                ["status", "progress", "query", "end"])),
        .text("id", "The value to send as Last-Event-ID to continue after this event."),
        .text("data", "JSON. For status and end, it is the job in the form that lists of jobs have."))

    static let jobList = object(
        "A page of jobs, the newest first.",
        .list("jobs", "The jobs, without their queries.", of: reference(.job)), .nextCursor)
}
