import Attribution
import Corpus
import JSON
import Limits

// The model, the server and its problems.
extension Schema {
    static let completionRequest = object(
        "A prompt to continue.",
        .required("prompt", string("What the model is given.", within: CompletionRequest.Limits.prompt)),
        .optional(
            "max_tokens",
            integer(
                "How many tokens to generate at most.", in: CompletionRequest.Limits.maximumTokens, default: 32
            ).orNull),
        .optional(
            "temperature",
            number(
                "0 takes the likeliest token at each step.", in: CompletionRequest.Limits.temperature, default: 0
            ).orNull),
        .optional(
            "seed",
            integer("The same seed gives the same completion.", in: CompletionRequest.Limits.seed, default: 0).orNull))

    static let completion = object(
        "What the model says.", .required("prompt", string("What it was given.")),
        .required("completion", string("What it went on with.")),
        .required("tokens", array("The completion's tokens.", of: reference(.queryToken))),
        .required(
            "finish_reason",
            choice(
                "Why it ended: time_limit where it took longer than the server lets it.",
                ["length", "end_of_text", "context_full", "time_limit"])))

    static let model = object(
        "What is loaded.", .required("name", string("The model's name.")),
        .required("architecture", string("Its family.")),
        .required("parameters", integer("How many it has.", from: 0)),
        .required("context_length", integer("The most tokens it can read.", from: 1)),
        .required("vocabulary", integer("How many tokens there are.", from: 1)),
        .required("digest", string("Tells it from any other.")),
        .required(
            "tracked_layers",
            array(
                "The linear layers through which influence is computed.",
                of: object(
                    "A layer.", .required("name", string("Its name.")),
                    .required("inputs", integer("With one more where it has a bias.", from: 1)),
                    .required("outputs", integer("Its outputs.", from: 1))))),
        .required(
            "factors",
            object(
                "How the EK-FAC factors were fitted.",
                .required("fisher", choice("The kind of Fisher matrix.", ["sampled", "empirical", "unknown"])),
                .required("sequences", integer("Sequences that they were fitted on.", from: 0)),
                .optional("tokens", integer("Tokens that they were fitted on.", from: 0)),
                .optional(
                    "seed",
                    integer("The fit's seed.", in: UInt64.min...UInt64.max)),
                .required("bytes", integer("Memory that they take.", from: 0)),
                .required(
                    "layers_without_curvature",
                    array(
                        "The tracked layers that no gradient of the fit reached: nothing has influence through them.",
                        of: string("A layer's name."))))),
        .required("corpus", reference(.corpusStatistics)),
        .optional(
            "index",
            object(
                "The gradient index, if there is one.",
                .required("sequences", integer("Sequences that are indexed.", from: 0)),
                .required("leading", integer("Leading directions of each side of a layer.", from: 1)),
                .required("signs", integer("Signs that are kept of each layer.", from: 64)),
                .required("bytes", integer("Bytes of the file.", from: 0)))))

    static let health = object(
        "How the server is.",
        .required(
            "status",
            choice(
                "alive: it runs; starting: the model is being loaded; ready: queries are answered; draining: it is stopping; "
                    + "failed: it could not start.", ["alive", "starting", "ready", "draining", "failed"])),
        .optional("stage", string("What is done just now, while it starts.")),
        .optional("reason", string("Why it failed.")))

    static let callList = object(
        "What there is to call.", .required("service", choice("The service's name.", ["tributary"])),
        .required("version", string("The service's version.")),
        .required(
            "calls",
            array(
                "The calls.",
                of: object(
                    "A call.", .required("method", string("Its method.")),
                    .required("path", string("Its path; {name} stands for one segment.")),
                    .required("summary", string("What it does."))))))

    private static let problemMembers: [Property] = [
        .required("type", string("The kind of problem, such as /problems/unknown-job; GET it for what it means.")),
        .required("title", string("What the kind is called.")),
        .required("status", integer("The status of a response with it.", from: 400, to: 599)),
        .required("detail", string("What was wrong this time, and what to do about it.")),
        .optional("field", string("The path of the member, or the name of the query item, at fault.")),
    ]

    static let problem = object(
        "Why a request was not answered (RFC 9457).",
        problemMembers + [
            .optional("line", integer("The line of the body at fault, where it is made of lines.", from: 1)),
            .optional("instance", string("The request's path.")),
        ])

    static let embeddedProblem = object("Why a query has no result.", problemMembers)

    static let problemKind = object(
        "A kind of problem.", .required("type", string("What problems of the kind have as their type.")),
        .required("title", string("What it is called.")),
        .required("status", integer("Its status.", from: 400, to: 599)),
        .required("explanation", string("When it occurs, and what to do about it.")))

    static let problemKindList = object(
        "Every kind of problem.", .required("problems", array("By name.", of: reference(.problemKind))))
}

extension Schema {
    static let sequence = object(
        "A training sequence: a document, or a chunk of one.",
        .required("id", string("The document's id; for one of several chunks followed by # and its number.")),
        .required("document_id", string("The document's id.")),
        .required("piece", integer("Which chunk of its document, from 0.", from: 0)),
        .required("token_offset", integer("How many tokens of the document come before it.", from: 0)),
        .required("token_count", integer("How many tokens it has, including those that the tokenizer adds.", from: 0)),
        .required("text", string("Its text.")), .optional("source", string("The source of its document.")),
        .optional("metadata", anything("The metadata of its document.")))

    static let sequenceList = object(
        "Some sequences, in the order in which they were added.",
        .required("sequences", array("The sequences.", of: reference(.sequence))),
        .optional("next_cursor", string("What to send as cursor for the next page; absent on the last one.")))

    static let searchResult = object(
        "Sequences that share tokens with a text.",
        .required(
            "hits",
            array(
                "The best first.",
                of: object(
                    "A sequence.", .required("rank", integer("From 1.", from: 1)),
                    .required("score", number("TF-IDF: the sum of the shared tokens' weights, in nats.", from: 0)),
                    .required("sequence", reference(.sequence))))))

    private static let nameBytes = String(CorpusDocument.maximumNameBytes)

    static let sequenceRecord = object(
        "A document to add. Other members are ignored.", isOpen: true,
        .optional(
            "id",
            Schema(tree: [
                "description": .string(
                    "The document's id, in at most \(nameBytes) bytes of UTF-8, and not . or ..; without one, its id comes from its "
                        + "content."),
                "anyOf": [
                    ["type": "string", "minLength": 1, "maxLength": .number(nameBytes)],
                    ["type": "integer", "minimum": .number("\(Int64.min)"), "maximum": .number("\(UInt64.max)")],
                    ["type": "null"],
                ],
            ])),
        .required(
            "text", string("The text: more than white space, without NUL characters.", atLeast: 1)),
        .optional(
            "source",
            Schema(tree: [
                "type": ["string", "null"], "minLength": 1, "maxLength": .number(nameBytes),
                "description": .string(
                    "The source of the document, in at most \(nameBytes) bytes of UTF-8; candidates can be filtered by it."
                ),
            ])),
        .optional(
            "metadata",
            Schema(tree: [
                "type": ["object", "null"], "description": "Stored, and returned with the document's sequences.",
            ])))

    static let ingestion = object(
        "What was added.",
        .required("added", integer("How many documents are new.", from: 0)),
        .required(
            "duplicates",
            integer(
                "How many records have a text that the corpus already has, or that an earlier record of the request has.",
                from: 0)),
        .required("empty", integer("How many records have a text without tokens; they are not added.", from: 0)),
        .required("sequences", integer("How many sequences are new: a long document has several.", from: 0)),
        .required("tokens", integer("How many tokens the new documents have.", from: 0)),
        .required(
            "ids",
            array(
                "For each record, in order, the id of the document with its text; null for a text without tokens.",
                of: string("An id.").orNull)),
        .required("corpus", reference(.corpusStatistics)))

    static let corpusStatistics = object(
        "The size of the corpus.",
        .required("documents", integer("How many documents with different texts it has.", from: 0)),
        .required("sequences", integer("How many sequences it has.", from: 0)),
        .required("tokens", integer("How many tokens all documents have.", from: 0)),
        .required("duplicates", integer("How many further copies of these texts were sent.", from: 0)))
}
