import Attribution

// Results: what the server answers to queries.
extension Schema {
    static let queryResults = oneOf(
        "One query's result, or a list of results: the same shape as the request.", reference(.queryResult),
        reference(.resultList))

    static let resultList = object(
        "One entry per query, in the order of the request.",
        .list(
            "results", "The results; a query that failed has its failure instead.",
            of: Schema(tree: ["oneOf": [reference(.queryResult).tree, reference(.failedQuery).tree]])))

    static let failedQuery = object(
        "A query that has no result.",
        .required(
            "query",
            object(
                "The query. A behaviour is shown by its first prompt, and a chat by its last two messages.", clientID,
                .text("prompt", "The query's prompt."), .text("completion", "The query's completion."), .others)),
        .required("error", reference(.embeddedProblem)))

    private static let clientID = Property.text("id", "The client's own name for the query.").orAbsent
    private static let considered = Property.count("sequences", "How many sequences were scored.", from: 1)
    private static let positive = Property.value(
        "positive", "The sum of the scores above zero, in nats.", from: 0)
    private static let negative = Property.value("negative", "The sum of the scores below zero, in nats.")
    private static let corpusSequences = Property.count(
        "corpus_sequences", "How many sequences the corpus had.")
    private static let spurious = Property.required(
        "spurious", boolean("Whether nearly all of the influence comes from one token."))
    private static let source = Property.text("source", "The source of the sequence's document.").orAbsent
    private static let byLayer = Property.optional("layers", reference(.layerScores))
    private static let byToken = Property.optional("tokens", reference(.tokenScores))
    private static let byOutputToken = Property.optional("output_tokens", reference(.outputTokenScores))

    static let queryResult = object(
        "The training sequences with the most influence on the completion.",
        .required("query", reference(.understoodQuery)), .required("timings", reference(.timings)),
        .required(
            "candidates",
            object(
                "The sequences that were scored.",
                .required(
                    "selection",
                    choice("How they were chosen.", ["tfidf", "index", "both", "all", "ids", "texts"])),
                .count("considered", "How many sequences were scored for the query."),
                .count(
                    "not_finite",
                    "How many of them have a score that is not a finite number, because the model overflows on them. No ranking, "
                        + "sum or distribution includes them. Absent in results of earlier versions."
                ).orAbsent, corpusSequences)),
        .optional("method", reference(.method)),
        .optional(
            "warnings", array("What makes the scores doubtful; absent if nothing does.", of: string("A sentence."))),
        .optional("distribution", reference(.scoreDistribution)),
        .optional(
            "sources",
            array(
                "The influence of all scored sequences, summed by source, the largest sums first; at most "
                    + "\(SourceInfluence.limit) sources.",
                of: reference(.sourceInfluence))),
        .optional(
            "other_sources",
            object(
                "All other sources together.", .count("sources", "How many other sources there are.", from: 1),
                considered, positive, negative)),
        .optional("prefilter_bias", reference(.prefilterBias)),
        .list(
            "sequences",
            "The sequences, the most influential first; if both directions were asked for, the proponents come first.",
            of: reference(.influentialSequence)))

    // MARK: - The query

    private static let tokens = Property.list(
        "tokens", "The tokens of the prompt and the completion.", of: reference(.queryToken))
    private static let completionStart = Property.count(
        "completion_start", "The index of the completion's first token.")
    private static let startsInsideToken = Property.required(
        "completion_starts_inside_token",
        boolean("Whether the completion's first token also holds the end of the prompt."))
    private static let logProbability = Property.value(
        "log_probability", "The log-probability of the whole completion given the prompt, in nats.")

    static let understoodQuery = object(
        "The query as the server understood it. Of a behaviour, prompt, completion and tokens are empty; of a chat, they are what the "
            + "model's chat template writes.", clientID, .text("prompt", "The prompt."),
        .text("completion", "The completion."), tokens, completionStart, startsInsideToken, logProbability,
        .optional(
            "spans",
            array(
                "The parts of the completion that are explained, if they are not the whole completion.",
                of: reference(.completionSpan))),
        .optional("contrast", reference(.continuation)),
        .value(
            "measurement",
            "What is explained, in nats: the log-probability of the measured tokens minus that of the contrast. Absent in "
                + "results of earlier versions, where it is log_probability."
        ).orAbsent,
        .optional("parts", array("The parts of a behaviour, as in the query.", of: reference(.understoodPart))),
        .optional(
            "combine", choice("How the parts make one measurement.", of: InfluenceQuery.Combination.self)),
        droppedMessages)

    private static let droppedMessages = Property.count(
        "dropped_messages",
        "How many of a chat's first messages were left out because it was too long; absent if none was.",
        from: 1
    ).orAbsent

    static let understoodPart = object(
        "A part of a behaviour, and what it is worth to the ranking.", .text("prompt", "The prompt."),
        .text("completion", "The completion."), .text("contrast", "The other completion.").orAbsent,
        .value("weight", "How much the part counts, relative to the others."), logProbability,
        .value("contrast_log_probability", "The log-probability of the other completion, in nats.").orAbsent,
        .value(
            "share",
            "How much of the behaviour's own influence on itself comes from this part. The shares add up to 1; one can be negative. "
                + "Absent if that influence is zero."
        ).orAbsent, droppedMessages)

    static let continuation = object(
        "Another completion of the prompt, with which the completion is compared.",
        .text("completion", "The other completion."), tokens, completionStart, startsInsideToken, logProbability)

    static let queryToken = object(
        "A token.", .count("id", "The token's number in the vocabulary."),
        .text("text", "The token's text; if a character is spread over several tokens, the last one has it."),
        .value(
            "log_probability",
            "The token's log-probability given all tokens before it, in nats; absent for tokens of the prompt."
        ).orAbsent,
        .optional("measured", boolean("Whether the token is explained; present if only parts of the completion are.")))

    static let timings = object(
        "Seconds of each stage, for all queries of the batch together.",
        .value("gradients", "Computing the queries' gradients.", from: 0),
        .value("candidates", "Choosing the candidates.", from: 0), .value("sweep", "Scoring all candidates.", from: 0),
        .value("rescore", "Scoring the best candidates again.", from: 0),
        .count("batch_size", "How many queries shared the sweep.", from: 1))

    static let method = object(
        "How the query's gradient was multiplied by the inverse curvature. Only an iteration has members other than estimator and "
            + "rank.",
        .required("estimator", choice("The estimator, as in the query.", of: InfluenceQuery.Estimator.self)),
        .count(
            "rank",
            "The largest rank to which a layer's gradient was compressed for the sweep; absent if it was not compressed.",
            from: 1
        ).orAbsent,
        .count("iterations", "How many steps the iteration took.").orAbsent,
        .count("sequences", "How many sequences the iteration ran through the model; repeated ones count again.")
            .orAbsent,
        .count("tokens", "How many tokens these sequences have.").orAbsent,
        .value("seconds", "How long the iteration took.", from: 0).orAbsent,
        .value("step", "The step size.", from: 0).orAbsent,
        .value(
            "residual",
            "The residual of the linear system after the last step, relative to the gradient, in the norm of EK-FAC's inverse.",
            from: 0
        ).orAbsent)

    // MARK: - Sequences and scores

    static let influentialSequence = object(
        "A training sequence and its influence.",
        .count("rank", "The rank, from 1, separate for each direction.", from: 1), .text("id", "The sequence's id."),
        .count("index", "The index of a text that came with the query.").orAbsent,
        .text("text", "The sequence's text."), source,
        .optional("metadata", anything("The metadata of the sequence's document.")), .loss,
        .value("score", "The influence, in nats. Positive: training on the sequence makes the completion likelier."),
        .value(
            "nats_per_copy",
            "The score divided by the number of training sequences: the first-order change of the completion's "
                + "log-probability if one more copy of the sequence were added."), spurious, byLayer, byToken,
        byOutputToken)

    private static let share = Property.value("score", "Its part of the score, in nats.")

    static let layerScores = array(
        "The influence through each tracked layer; the parts add up to the score.",
        of: object("One layer.", .text("name", "The layer's name."), share))

    static let tokenScores = array(
        "The influence of each token; the parts add up to the score.",
        of: object(
            "One token, at the position from which the next one is predicted.", .text("text", "The token's text."),
            share
        ))

    static let outputTokenScores = array(
        "How much likelier each token of the sequence becomes if the model moves towards the query: the derivative of its "
            + "log-probability along the query's preconditioned gradient. The parts add up to the score with the uncompressed gradient.",
        of: object(
            "One token, which is predicted from the tokens before it.", .text("text", "The token's text."), share))

    static let scores = object(
        "The influence of texts on a query.", .required("query", reference(.understoodQuery)),
        .required("timings", reference(.timings)), .optional("method", reference(.method)), corpusSequences,
        .list(
            "scores", "One entry per text, in the order of the request.",
            of: object(
                "The influence of one text.",
                .count("index", "The text's index in the request."),
                .text("id", "The client's own name for the text.").orAbsent,
                .required(
                    "score",
                    number(
                        "The influence, in nats. Positive: training on the text makes the completion likelier. Null if the "
                            + "model overflows on the text, which then has no score."
                    ).orNull),
                .required(
                    "nats_per_copy",
                    number("The score divided by the number of training sequences; null if the score is.").orNull),
                spurious, byLayer, byToken, byOutputToken)))

    // MARK: - How influence is distributed over what was scored, and over what was not

    static let scoreDistribution = object(
        "The distribution of all scores, in nats.", considered, .value("mean", "The mean score."),
        .value("standard_deviation", "The standard deviation of the scores.", from: 0),
        .list(
            "bounds",
            "The bounds of the histogram's bins, ascending; one more than there are bins.", of: number("A bound.")),
        .list("counts", "How many scores are in each bin.", of: integer("A count.", from: 0)),
        .optional("power_law", reference(.powerLaw)),
        .optional(
            "shares",
            array(
                "How much of the positive influence the strongest sequences hold, the smallest part first; a part of less than one "
                    + "sequence is left out.",
                of: object(
                    "The strongest sequences.",
                    .required("part", number("Which part of the scored sequences they are.", over: 0)),
                    .count("sequences", "How many sequences they are.", from: 1),
                    .value("share", "Their share of the sum of all scores above zero.", from: 0)))))

    static let powerLaw = object(
        "The power law of the strongest proponents (Clauset, Shalizi and Newman 2009), absent if there are too few of them: above "
            + "`from`, the density of the scores falls as s to the power of minus `exponent`.",
        .required(
            "exponent",
            number(
                "The maximum-likelihood exponent of the density. The share of scores above s falls with this exponent minus 1.",
                over: 1)),
        .value("standard_error", "The exponent's standard error.", from: 0),
        .required("from", number("The score at which the tail begins: where the law fits best.", over: 0)),
        .count("sequences", "How many scores are in the tail.", from: 1),
        .value(
            "distance", "The largest distance between the tail's cumulative distribution and the law's.", from: 0))

    static let sourceInfluence = object(
        "The influence of all scored sequences of one source.",
        .required("source", string("The source; null for the sequences without one.").orNull), considered, positive,
        negative)

    static let prefilterBias = object(
        "How much influence the choice of candidates has missed, estimated from a random sample of the other sequences.",
        .count("sampled", "How many of the other sequences were drawn."),
        .count("outside", "How many sequences were not chosen."),
        .value("positive_outside", "The estimated sum of their scores above zero, in nats.", from: 0),
        .value("positive_outside_error", "The standard error of that sum.", from: 0),
        .value(
            "missed_share", "That sum as a share of all positive influence; absent if there is none.", from: 0
        ).orAbsent,
        .value("missed_share_error", "The standard error of that share.", from: 0).orAbsent,
        .count("would_rank", "How many of the sample would have been among the sequences returned."),
        .list(
            "found", "The strongest of these, at most \(PrefilterBias.limit).",
            of: object(
                "A sequence that was not chosen and would have been returned.",
                .count("rank", "The rank that it would have had.", from: 1), .text("id", "The sequence's id."),
                source, .value("score", "The sequence's score, in nats."),
                .text("text", "The beginning of the sequence's text."))))
}
