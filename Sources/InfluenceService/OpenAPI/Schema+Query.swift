import Attribution
import JSON
import Limits

// Queries, as clients send them. The limits are those of ``InfluenceQuery/Limits``; the configuration has the defaults and can lower the
// limits.
extension Schema {
    private typealias Limits = InfluenceQuery.Limits

    static func influenceRequest(under configuration: Configuration) -> Schema {
        oneOf(
            "One query, or a list of them.", reference(.query),
            array(
                "Queries that are answered together.", of: reference(.query),
                within: configuration.jobs.queriesPerRequest))
    }

    static func query(under configuration: Configuration) -> Schema {
        let defaults = configuration.query
        let members: [Property] =
            [
                .nullable(
                    "id", string("The client's own name for the query, returned with its result.", within: Limits.id))
            ] + question + [
                .nullable(
                    "top_k",
                    integer("How many sequences to return in each direction.", in: Limits.topK, default: defaults.topK)),
                .nullable(
                    "direction",
                    choice(
                        "positive: sequences that make the completion likelier; negative: sequences that make it less likely; both: "
                            + "first the former, then the latter.",
                        of: InfluenceQuery.Direction.self, default: .positive)),
                .nullable("candidates", reference(.candidateSelection)),
                .optional("rank", rank(default: defaults.rank)),
                .nullable(
                    "rescore",
                    integer(
                        "How many of the best candidates are scored again with the uncompressed gradient.",
                        in: Limits.rescore, default: defaults.rescore)),
                .nullable("damping", damping), .nullable("estimator", estimator),
                .nullable("attribution", reference(.breakdown)),
                .nullable(
                    "all_scores",
                    boolean(
                        "Whether the job keeps the scores of all candidates, for GET /v1/jobs/{id}/scores. Not possible with "
                            + "candidates.texts.", default: false)),
            ]
        return ofOneQuestion(
            object("Which training sequences made the model continue this prompt with this completion?", members))
    }

    /// What is asked about: a prompt and a completion, a behaviour, or a chat.
    private static var question: [Property] {
        [
            .optional("prompt", givenPrompt), .optional("completion", givenCompletion), .nullable("spans", spans),
            .nullable("contrast", contrast),
            .nullable(
                "measurement",
                array(
                    "A behaviour: prompts and completions, or chats, in which it shows. There is one ranking for all of them.",
                    of: reference(.behaviourPart), within: Limits.behaviour)),
            .nullable(
                "combine",
                choice(
                    "Whether the measurement is the weighted mean or the weighted sum of its parts' log-probabilities.",
                    of: InfluenceQuery.Combination.self, default: .mean)),
            .nullable("messages", messages),
            .nullable(
                "drop_turns",
                boolean(
                    "Whether the first turns of a chat that is longer than the model's context are left out, as few as it takes, "
                        + "but never the messages of system and developer before them. Otherwise such a chat is refused.",
                    default: false)),
        ]
    }

    private static func ofOneQuestion(_ schema: Schema) -> Schema {
        schema.with(
            alternatives: [
                (["prompt", "completion"], ["measurement", "messages", "combine", "drop_turns"]),
                (["measurement"], ["prompt", "completion", "spans", "contrast", "messages"]),
                (["messages"], ["prompt", "completion", "measurement", "combine"]),
            ])
    }

    static let behaviourPart = object(
        "A prompt of a behaviour, with the completion whose log-probability is measured; or a chat, whose last message is the completion.",
        .optional("prompt", givenPrompt), .optional("completion", givenCompletion), .nullable("messages", messages),
        .nullable("contrast", contrast),
        .nullable(
            "weight",
            number("How much the part counts, relative to the others.", in: Limits.weight, default: 1))
    ).with(alternatives: [
        (["prompt", "completion"], ["messages"]), (["messages"], ["prompt", "completion"]),
    ])

    /// The objects stay open: a template can read further members.
    private static let messages = array(
        "A chat, which the model's chat template writes out. The last message, an assistant's, is the completion.",
        of: object(
            "A message. The chat template can read further members.", isOpen: true,
            .required(
                "role", string("The role, such as system, user or assistant.", within: Limits.role, example: "user")),
            .optional("content", anything("A text, or a list of objects with texts."))),
        within: Limits.messages)

    private static let givenPrompt = string(
        "The text that the model was given.", within: Limits.text, example: "The capital of France is")

    private static let givenCompletion = string(
        "The text with which the model continued the prompt. Both are joined as they are: a completion normally begins with a space.",
        within: Limits.text, example: " Paris")

    private static let contrast = string(
        "Another completion of the same prompt, or another content of a chat's last message: scores then show what made the completion "
            + "likelier than this one.",
        within: Limits.text, example: " Lyon")

    private static let spans = array(
        "The parts of the completion to explain, each widened to whole tokens; without them, the whole completion. The model reads the "
            + "other parts as well, but their probability is not measured.",
        of: reference(.completionSpan), within: Limits.spans)

    private static func rank(default fallback: Int) -> Schema {
        Schema(tree: [
            "description": .string(
                "The rank to which the query's gradient is compressed for the sweep; or auto for the least rank that keeps 99 % of "
                    + "each layer's squared norm, the default of a behaviour; or full for no compression."),
            "default": .number(String(fallback)),
            "anyOf": [
                integer("A rank.", in: Limits.rank).tree,
                choice("A rank that the gradient decides, or no compression.", ["auto", "full"]).tree, ["type": "null"],
            ],
        ])
    }

    private static let damping = number(
        "Replaces the default damping, which is 0.1 times the mean eigenvalue of each layer.", in: Limits.damping)

    private static let estimator = choice(
        "How the inverse curvature is estimated. ekfac: by the fitted factors; astra: by an iteration on the model's exact "
            + "Gauss-Newton matrix, which starts from the factors' estimate and takes longer; identity: not at all, so that "
            + "scores are inner products of gradients, and not in nats.",
        of: InfluenceQuery.Estimator.self, default: .ekfac)

    static let breakdown = object(
        "The breakdowns of each score.",
        .nullable("layers", boolean("By tracked layer.", default: false)),
        .nullable("tokens", boolean("By token.", default: false)),
        .nullable(
            "output_tokens",
            boolean(
                "By the tokens of the sequence that become likelier if the model moves towards the query.",
                default: false)))

    static let completionSpan = object(
        "A part of a completion or of another text, in Unicode code points.",
        .required("start", integer("The index of its first code point, from 0.", in: Limits.spanStart)),
        .required("end", integer("The index after its last code point.", in: Limits.spanEnd)))

    static func candidateSelection(under configuration: Configuration) -> Schema {
        object(
            "What is scored: sequences of the corpus, or texts that come with the query.",
            .nullable(
                "prefilter",
                choice(
                    "tfidf: the sequences with the highest TF-IDF scores; index: those whose influence the gradient index estimates to "
                        + "be largest; both: those with the largest sum of score and estimate, each in standard deviations; all: "
                        + "every sequence.",
                    of: CandidateSelection.Prefilter.self, default: .tfidf)),
            .nullable(
                "limit",
                integer(
                    "How many sequences the prefilter keeps: all of them if the corpus has fewer.",
                    in: Limits.candidates, default: configuration.query.candidateLimit)),
            .nullable(
                "ids",
                array(
                    "Ids of sequences or documents: only these are scored.",
                    of: string("An id.", within: Limits.name), within: Limits.ids)),
            .nullable("source", string("Only sequences of this source.", within: Limits.name)),
            .nullable(
                "texts",
                array(
                    "Texts that need not be in the corpus, each scored in full as if it were a training sequence. All of them are "
                        + "returned, whatever top_k, direction, rank and rescore say. They cannot be combined with ids, source or "
                        + "probe.",
                    of: string(
                        "A text with at most as many tokens as a sequence can have.", within: configuration.query.text),
                    within: configuration.query.texts)),
            .nullable(
                "probe",
                integer(
                    "How many of the other sequences, drawn at random, are scored as well, to estimate how much influence the choice "
                        + "of candidates has missed.", in: Limits.probe)),
            .nullable(
                "probe_seed", integer("The same seed draws the same sequences.", in: Limits.seed, default: 0)))
    }

    static func scoresRequest(under configuration: Configuration) -> Schema {
        let text = string("The text.", within: configuration.query.text)
        let members: [Property] =
            question + [
                .required(
                    "texts",
                    array(
                        "Texts that need not be in the corpus, each with at most as many tokens as a sequence can have.",
                        of: oneOf(
                            "A text, alone or with a name.", text,
                            object(
                                "A text with a name.",
                                .nullable("id", string("The client's own name for the text.", within: Limits.id)),
                                .required("text", text))),
                        within: configuration.query.texts)),
                .nullable("damping", damping), .nullable("estimator", estimator),
                .nullable("attribution", reference(.breakdown)),
            ]
        return ofOneQuestion(
            object(
                "A query, and the texts whose influence on it is computed; the other members are as in a query.",
                members))
    }
}
