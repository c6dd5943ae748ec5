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
            "spans",
            array(
                "The parts of the completion that are to be explained, each widened to whole tokens; all of it where they are left "
                    + "out. The rest is read, but its probability is not measured.",
                of: reference(.completionSpan), atLeast: 1
            ).orNull),
        .optional(
            "contrast",
            string(
                "Another completion of the same prompt: scores then tell what made the completion likelier than this one.",
                atLeast: 1, example: " Lyon"
            ).orNull),
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
        .optional("estimator", estimator.orNull),
        .optional("attribution", reference(.breakdown).orNull))

    private static let estimator = choice(
        "How the inverse curvature is estimated. ekfac: by the fitted factors; astra: by an iteration on the model's exact "
            + "Gauss-Newton matrix, which begins with what the factors give and takes longer; identity: not at all, "
            + "so that scores are inner products of gradients, and not in nats.",
        of: InfluenceQuery.Estimator.self, default: .ekfac)

    static let breakdown = object(
        "What each score is broken down into.",
        .optional("layers", boolean("By tracked layer.", default: false).orNull),
        .optional("tokens", boolean("By token.", default: false).orNull),
        .optional(
            "output_tokens",
            boolean(
                "By the tokens of the sequence that become likelier if the model moves towards the query.",
                default: false
            ).orNull))

    static let completionSpan = object(
        "A part of a completion, in Unicode code points.",
        .required("start", integer("The first code point.", from: 0)),
        .required("end", integer("The one behind the last.", from: 1)))

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
                    + "whatever top_k, direction, rank and rescore say. Neither ids, source nor probe may be given beside them.",
                of: string("A text of at most a sequence's length.", atLeast: 1), atLeast: 1
            ).orNull),
        .optional(
            "probe",
            integer(
                "How many sequences that were not chosen, drawn at random, are scored beside those that were, to estimate what the "
                    + "choice has missed.",
                from: CandidateSelection.probes.lowerBound, to: CandidateSelection.probes.upperBound
            ).orNull),
        .optional("probe_seed", integer("The same seed draws the same sequences.", from: 0, default: 0).orNull))

    static let scoresRequest = object(
        "A query, and texts whose influence on it is asked for; the members are as in a query.",
        .required("prompt", string("What the model was given.", atLeast: 1, example: "The capital of France is")),
        .required("completion", string("What it went on with.", atLeast: 1, example: " Paris")),
        .optional(
            "spans",
            array("The parts of the completion that are to be explained.", of: reference(.completionSpan), atLeast: 1)
                .orNull),
        .optional("contrast", string("Another completion of the same prompt.", atLeast: 1).orNull),
        .required(
            "texts",
            array(
                "Texts that need not be in the corpus, each of at most a sequence's length.",
                of: oneOf(
                    "A text, by itself or with a name.", string("A text.", atLeast: 1),
                    object(
                        "A text with a name.", .optional("id", string("The asker's own name of it.").orNull),
                        .required("text", string("The text.", atLeast: 1)))),
                atLeast: 1)),
        .optional(
            "damping",
            number("Damping in place of 0.1 times the mean eigenvalue of each layer.", over: 0).orNull),
        .optional("estimator", estimator.orNull),
        .optional("attribution", reference(.breakdown).orNull))
}
