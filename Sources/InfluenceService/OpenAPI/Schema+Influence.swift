import Attribution

// Queries, and what is answered to them.
extension Schema {
    static let influenceRequest = oneOf(
        "One query, or a list of them.", reference(.query),
        array("Queries that are answered together.", of: reference(.query), atLeast: 1))

    static let query = object(
        "Which training sequences made the model continue this prompt with this completion?",
        .optional("id", string("The asker's own name for the query, returned with its result.").orNull),
        .required("prompt", string("What the model was given.", atLeast: 1, example: "The capital of France is")),
        .required(
            "completion",
            string(
                "What it went on with. The two are joined as they are: a completion normally begins with a space.",
                atLeast: 1, example: " Paris")),
        .optional(
            "top_k", integer("How many sequences to return in each direction.", from: 1, to: 10_000).orNull),
        .optional(
            "direction",
            choice(
                "positive: sequences that make the completion likelier; negative: less likely; both: each apart.",
                of: InfluenceQuery.Direction.self, default: .positive
            ).orNull),
        .optional("candidates", reference(.candidateSelection).orNull),
        .optional(
            "rank",
            Schema(tree: [
                "description":
                    "The rank to which the query's gradient is compressed for the sweep, or full for none.",
                "anyOf": [
                    ["type": "integer", "minimum": 1, "maximum": 4096], ["type": "string", "enum": ["full"]],
                    ["type": "null"],
                ],
            ])),
        .optional(
            "rescore",
            integer(
                "How many of the best candidates are scored again with the gradient as it is.", from: 0, to: 10_000
            ).orNull),
        .optional(
            "damping",
            number("Damping in place of 0.1 times the mean eigenvalue of each layer.", over: 0).orNull),
        .optional(
            "estimator",
            choice(
                "How the inverse curvature is estimated. ekfac: by the fitted factors; astra: by an iteration on the model's exact "
                    + "Gauss-Newton matrix, which begins with what the factors give and takes longer; identity: not at all, "
                    + "so that scores are inner products of gradients, and not in nats.",
                of: InfluenceQuery.Estimator.self, default: .ekfac
            ).orNull),
        .optional(
            "attribution",
            object(
                "What each score is broken down into.",
                .optional("layers", boolean("By tracked layer.", default: false).orNull),
                .optional("tokens", boolean("By token.", default: false).orNull)
            ).orNull))

    static let candidateSelection = object(
        "What is scored: sequences of the corpus, or texts that come with the query.",
        .optional(
            "prefilter",
            choice(
                "tfidf: those that share words with the query; index: those of largest influence as the gradient index "
                    + "estimates it; both: by the sum of the two; all: every sequence.",
                of: CandidateSelection.Prefilter.self, default: .tfidf
            ).orNull),
        .optional("limit", integer("How many the prefilter keeps.", from: 1).orNull),
        .optional(
            "ids",
            array(
                "Sequences or documents by id: these, and no others, are scored.", of: string("An id."), atLeast: 1
            ).orNull),
        .optional("source", string("Only sequences of this source.").orNull),
        .optional(
            "texts",
            array(
                "Texts that need not be in the corpus, each scored in full as if it were a training sequence. All are returned, "
                    + "whatever top_k, direction, rank and rescore say. Neither ids nor source may be given beside them.",
                of: string("A text of at most a sequence's length.", atLeast: 1), atLeast: 1
            ).orNull))

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
        .required(
            "query",
            object(
                "The query as it was understood.", .optional("id", string("The asker's own name for it.")),
                .required("prompt", string("Its prompt.")), .required("completion", string("Its completion.")),
                .required("tokens", array("The tokens of prompt and completion.", of: reference(.queryToken))),
                .required("completion_start", integer("Index of the completion's first token.", from: 0)),
                .required(
                    "completion_starts_inside_token",
                    boolean("Whether that token also holds the end of the prompt.")),
                .required(
                    "log_probability", number("Of the completion given the prompt, in nats: what is attributed.")))),
        .required(
            "timings",
            object(
                "Seconds of each stage; the sweep's is the whole batch's.",
                .required("gradients", number("The query's gradients.", from: 0)),
                .required("candidates", number("The choice of candidates.", from: 0)),
                .required("sweep", number("The sweep over all candidates.", from: 0)),
                .required("rescore", number("Scoring the best again.", from: 0)),
                .required("batch_size", integer("How many queries shared the sweep.", from: 1)))),
        .required(
            "candidates",
            object(
                "What was scored.",
                .required("selection", choice("How they were chosen.", ["tfidf", "all", "ids", "texts"])),
                .required("considered", integer("How many sequences were scored for the query.", from: 0)),
                .required("corpus_sequences", integer("How many sequences the corpus had.", from: 0)))),
        .optional(
            "method",
            object(
                "How the query's gradient was multiplied by the inverse curvature; all but the estimator only where it iterates.",
                .required("estimator", choice("As in the query.", of: InfluenceQuery.Estimator.self)),
                .optional("iterations", integer("Steps of the iteration.", from: 0)),
                .optional(
                    "sequences", integer("Sequences run through the model for them, some several times.", from: 0)),
                .optional("tokens", integer("Their tokens.", from: 0)),
                .optional("seconds", number("How long that took.", from: 0)),
                .optional("step", number("The step size.", from: 0)),
                .optional(
                    "residual",
                    number(
                        "How far the last step was from solving the system, relative to the gradient, in the norm of "
                            + "EK-FAC's inverse.", from: 0)))),
        .optional("distribution", reference(.scoreDistribution)),
        .required(
            "sequences",
            array(
                "From the most influential on; for both directions first the proponents.",
                of: reference(.influentialSequence))))

    static let scoreDistribution = object(
        "How the scores of all that was scored are distributed, in nats.",
        .required("sequences", integer("How many were scored.", from: 1)),
        .required("mean", number("Their mean.")),
        .required("standard_deviation", number("Their standard deviation.", from: 0)),
        .required(
            "bounds",
            array("The ends of the histogram's bars, ascending; one more than there are bars.", of: number("An end."))),
        .required("counts", array("How many scores each bar has.", of: integer("A count.", from: 0))),
        .optional(
            "tail",
            object(
                "The power law of the strongest proponents; absent where they are too few.",
                .required(
                    "exponent", number("The share of scores above s falls as s to the power of minus this.", from: 0)),
                .required("from", number("The score at which the tail begins.", from: 0)),
                .required("sequences", integer("How many scores are in it.", from: 1)))))

    static let queryToken = object(
        "A token.", .required("id", integer("Its number in the vocabulary.", from: 0)),
        .required("text", string("Its text; where a character is spread over several tokens, the last one has it.")),
        .optional(
            "log_probability",
            number("Given everything before it, in nats; absent for the prompt's tokens.")))

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
        .optional(
            "layers",
            array(
                "The influence through each tracked layer; they add up to the score.",
                of: object(
                    "One layer.", .required("name", string("The layer's name.")),
                    .required("score", number("Its part, in nats."))))),
        .optional(
            "tokens",
            array(
                "The influence of each token; they add up to the score.",
                of: object(
                    "One token, at the position from which the next one is predicted.",
                    .required("text", string("The token's text.")),
                    .required("score", number("Its part, in nats."))))))
}
