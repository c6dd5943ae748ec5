import Attribution

// What is answered to queries.
extension Schema {
    static let queryResults = oneOf(
        "In the shape of the request: one query's result, or a list.", reference(.queryResult), reference(.resultList))

    static let resultList = object(
        "One entry a query, in the order of the request.",
        .required(
            "results",
            array(
                "Results, and failures of those that have none.",
                of: Schema(tree: ["oneOf": [reference(.queryResult).tree, reference(.failedQuery).tree]]))))

    static let failedQuery = object(
        "A query that has no result.",
        .required(
            "query",
            object(
                "The query.", .optional("id", string("The asker's own name for it.")),
                .required("prompt", string("Its prompt.")), .required("completion", string("Its completion.")))),
        .required("error", reference(.embeddedProblem)))

    static let queryResult = object(
        "The training sequences of most influence on the completion.",
        .required("query", reference(.understoodQuery)), .required("timings", reference(.timings)),
        .required(
            "candidates",
            object(
                "What was scored.",
                .required(
                    "selection", choice("How they were chosen.", ["tfidf", "index", "both", "all", "ids", "texts"])),
                .required("considered", integer("How many sequences were scored for the query.", from: 0)),
                .optional(
                    "not_finite",
                    integer(
                        "How many of these have a score that is no finite number, because the model overflows on them. They are "
                            + "in no ranking, sum or distribution. Absent in results of earlier versions.", from: 0)),
                .required("corpus_sequences", integer("How many sequences the corpus had.", from: 0)))),
        .optional("method", reference(.method)), .optional("distribution", reference(.scoreDistribution)),
        .optional(
            "sources",
            array(
                "The influence of all that was scored, summed by source, the largest sums first; at most "
                    + "\(SourceInfluence.limit).",
                of: reference(.sourceInfluence))),
        .optional(
            "other_sources",
            object(
                "All the other sources together.", .required("sources", integer("How many they are.", from: 1)),
                .required("sequences", integer("How many of their sequences were scored.", from: 1)),
                .required("positive", number("The sum of their scores above zero.", from: 0)),
                .required("negative", number("The sum of their scores below zero.")))),
        .optional("prefilter_bias", reference(.prefilterBias)),
        .required(
            "sequences",
            array(
                "From the most influential on; for both directions first the proponents.",
                of: reference(.influentialSequence))))

    static let understoodQuery = object(
        "The query as it was understood.", .optional("id", string("The asker's own name for it.")),
        .required("prompt", string("Its prompt.")), .required("completion", string("Its completion.")),
        .required("tokens", array("The tokens of prompt and completion.", of: reference(.queryToken))),
        .required("completion_start", integer("Index of the completion's first token.", from: 0)),
        .required(
            "completion_starts_inside_token", boolean("Whether that token also holds the end of the prompt.")),
        .required("log_probability", number("Of the whole completion given the prompt, in nats.")),
        .optional(
            "spans",
            array("The parts of the completion that are explained, if only some are.", of: reference(.completionSpan))),
        .optional("contrast", reference(.continuation)),
        .optional(
            "measurement",
            number(
                "What is explained, in nats: the log-probability of the measured tokens, less that of the contrast. Absent in "
                    + "results of earlier versions, where it is log_probability.")))

    static let continuation = object(
        "Another completion of the prompt, against which the completion is held.",
        .required("completion", string("The completion.")),
        .required("tokens", array("The tokens of prompt and completion.", of: reference(.queryToken))),
        .required("completion_start", integer("Index of the completion's first token.", from: 0)),
        .required(
            "completion_starts_inside_token", boolean("Whether that token also holds the end of the prompt.")),
        .required("log_probability", number("Of the completion given the prompt, in nats.")))

    static let timings = object(
        "Seconds of each stage; the sweep's is the whole batch's.",
        .required("gradients", number("The query's gradients.", from: 0)),
        .required("candidates", number("The choice of candidates.", from: 0)),
        .required("sweep", number("The sweep over all candidates.", from: 0)),
        .required("rescore", number("Scoring the best again.", from: 0)),
        .required("batch_size", integer("How many queries shared the sweep.", from: 1)))

    static let method = object(
        "How the query's gradient was multiplied by the inverse curvature; all but the estimator only where it iterates.",
        .required("estimator", choice("As in the query.", of: InfluenceQuery.Estimator.self)),
        .optional("iterations", integer("Steps of the iteration.", from: 0)),
        .optional("sequences", integer("Sequences run through the model for them, some several times.", from: 0)),
        .optional("tokens", integer("Their tokens.", from: 0)),
        .optional("seconds", number("How long that took.", from: 0)),
        .optional("step", number("The step size.", from: 0)),
        .optional(
            "residual",
            number(
                "How far the last step was from solving the system, relative to the gradient, in the norm of EK-FAC's "
                    + "inverse.", from: 0)))

    static let queryToken = object(
        "A token.", .required("id", integer("Its number in the vocabulary.", from: 0)),
        .required("text", string("Its text; where a character is spread over several tokens, the last one has it.")),
        .optional(
            "log_probability",
            number("Given everything before it, in nats; absent for the prompt's tokens.")),
        .optional(
            "measured",
            boolean("Where only parts of the completion were asked about: whether this token is explained.")))

    static let influentialSequence = object(
        "A training sequence and its influence.",
        .required("rank", integer("From 1, apart for each direction.", from: 1)),
        .required("id", string("The sequence's id.")),
        .optional("index", integer("Of a text that came with the query: its place there.", from: 0)),
        .required("text", string("Its text.")), .optional("source", string("Where its document is from.")),
        .optional("metadata", anything("What came with its document.")),
        .required(
            "score",
            number("The influence, in nats. Positive: training on the sequence makes the completion likelier.")),
        .required(
            "nats_per_copy",
            number(
                "The score over the number of training sequences: the first-order change of the completion's log-probability "
                    + "if one more copy of the sequence were added.")),
        .required("spurious", boolean("Whether nearly all of the influence lies in one token.")),
        .optional("layers", reference(.layerScores)), .optional("tokens", reference(.tokenScores)),
        .optional("output_tokens", reference(.outputTokenScores)))

    static let layerScores = array(
        "The influence through each tracked layer; they add up to the score.",
        of: object(
            "One layer.", .required("name", string("The layer's name.")),
            .required("score", number("Its part, in nats."))))

    static let tokenScores = array(
        "The influence of each token; they add up to the score.",
        of: object(
            "One token, at the position from which the next one is predicted.",
            .required("text", string("The token's text.")), .required("score", number("Its part, in nats."))))

    static let outputTokenScores = array(
        "By how much each token of the sequence becomes likelier if the model moves towards the query: the derivative of its "
            + "log-probability along the query's preconditioned gradient. They add up to the score with the gradient as it is.",
        of: object(
            "One token, which is predicted from those before it.", .required("text", string("The token's text.")),
            .required("score", number("Its part, in nats."))))

    static let scores = object(
        "The influence of texts on a query.", .required("query", reference(.understoodQuery)),
        .required("timings", reference(.timings)), .optional("method", reference(.method)),
        .required("corpus_sequences", integer("How many sequences the corpus had.", from: 0)),
        .required(
            "scores",
            array(
                "One a text, in the order of the request.",
                of: object(
                    "The influence of one text.", .required("index", integer("Its place in the request.", from: 0)),
                    .optional("id", string("The asker's own name of it.")),
                    .required(
                        "score",
                        number(
                            "In nats. Positive: training on the text makes the completion likelier. Null where the model overflows "
                                + "on the text: it has no score."
                        ).orNull),
                    .required(
                        "nats_per_copy",
                        number("The score over the number of training sequences; null where that is.").orNull),
                    .required("spurious", boolean("Whether nearly all of the influence lies in one token.")),
                    .optional("layers", reference(.layerScores)), .optional("tokens", reference(.tokenScores)),
                    .optional("output_tokens", reference(.outputTokenScores))))))
}

// How influence is spread over what was scored, and over what was not.
extension Schema {
    static let scoreDistribution = object(
        "How the scores of all that was scored are distributed, in nats.",
        .required("sequences", integer("How many were scored.", from: 1)),
        .required("mean", number("Their mean.")),
        .required("standard_deviation", number("Their standard deviation.", from: 0)),
        .required(
            "bounds",
            array("The ends of the histogram's bars, ascending; one more than there are bars.", of: number("An end."))),
        .required("counts", array("How many scores each bar has.", of: integer("A count.", from: 0))),
        .optional("power_law", reference(.powerLaw)),
        .optional(
            "shares",
            array(
                "How much of the positive influence the strongest sequences hold, from the smallest part on; a part that is not one "
                    + "whole sequence is left out.",
                of: object(
                    "The strongest sequences.",
                    .required("part", number("The part of what was scored that they are.", over: 0)),
                    .required("sequences", integer("How many they are.", from: 1)),
                    .required("share", number("Their part of the sum of all scores above zero.", from: 0))))))

    static let powerLaw = object(
        "The power law of the strongest proponents (Clauset, Shalizi and Newman 2009), absent where they are too few: from "
            + "`from` on, the density of scores falls as s to the power of minus `exponent`.",
        .required(
            "exponent",
            number(
                "The density's exponent, of the greatest likelihood. The share of scores above s falls with it less 1.",
                over: 1)),
        .required("standard_error", number("The exponent's standard error.", from: 0)),
        .required("from", number("The score at which the tail begins: where the law then fits best.", over: 0)),
        .required("sequences", integer("How many scores are in it.", from: 1)),
        .required(
            "distance",
            number("The largest distance between the tail's cumulative distribution and the law's.", from: 0)))

    static let sourceInfluence = object(
        "The influence of all sequences of one source that were scored.",
        .required("source", string("The source; null for the sequences that have none.").orNull),
        .required("sequences", integer("How many of them were scored.", from: 1)),
        .required("positive", number("The sum of their scores above zero, in nats.", from: 0)),
        .required("negative", number("The sum of their scores below zero.")))

    static let prefilterBias = object(
        "What the choice of candidates has missed, as a random sample of the other sequences tells.",
        .required("sampled", integer("How many were drawn.", from: 0)),
        .required("outside", integer("How many sequences were not chosen.", from: 0)),
        .required("positive_outside", number("The estimated sum of their scores above zero, in nats.", from: 0)),
        .required("positive_outside_error", number("Its standard error.", from: 0)),
        .optional(
            "missed_share",
            number("That sum as a share of all positive influence; absent where there is none.", from: 0)),
        .optional("missed_share_error", number("Its standard error.", from: 0)),
        .required(
            "would_rank", integer("How many of the sample would have been among the sequences returned.", from: 0)),
        .required(
            "found",
            array(
                "The strongest of these, at most \(PrefilterBias.limit).",
                of: object(
                    "A sequence that was not chosen, and would have been returned.",
                    .required("rank", integer("The rank that it would have had.", from: 1)),
                    .required("id", string("Its id.")), .optional("source", string("Where its document is from.")),
                    .required("score", number("Its score, in nats.")),
                    .required("text", string("The beginning of its text."))))))
}
