import Attribution
import Corpus
import JSON
import Limits

// The corpus, the model, the server and its problems.
extension Schema {
    // MARK: - Corpus

    static let sequence = object(
        "A training sequence: a document, or a chunk of one.",
        .text("id", "The document's id, followed by # and the chunk's number if the document has several chunks."),
        .text("document_id", "The document's id."), .count("piece", "The chunk's index in its document, from 0."),
        .count("token_offset", "How many tokens of the document come before it."),
        .count("token_count", "How many tokens it has, including those that the tokenizer adds."),
        .text("text", "Its text."), .loss, .text("source", "The source of its document.").orAbsent,
        .optional("metadata", anything("The metadata of its document.")))

    static let sequenceList = object(
        "A page of sequences, in the order in which they were added.",
        .list("sequences", "The sequences.", of: reference(.sequence)), .nextCursor)

    static let searchResult = object(
        "Sequences that share tokens with a text.",
        .list(
            "hits", "The sequences, the best first.",
            of: object(
                "A sequence.", .count("rank", "The rank, from 1.", from: 1),
                .value("score", "TF-IDF: the sum of the shared tokens' weights, in nats.", from: 0),
                .required("sequence", reference(.sequence)))))

    private static let nameBytes = String(CorpusDocument.maximumNameBytes)

    static let sequenceRecord = object(
        "A document or a row to add, of one of four kinds: a text, perhaps with loss on parts of it; a prompt with a completion, "
            + "which carries the loss; a chat, with loss on the assistant's turns; or tokens, perhaps with labels. Other members are "
            + "ignored.",
        isOpen: true,
        .optional(
            "id",
            Schema(tree: [
                "description": .string(
                    "The document's id, in at most \(nameBytes) bytes of UTF-8, and not . or ..; without one, its id comes from its "
                        + "content. A whole number of any length is read as its digits."),
                "anyOf": [
                    ["type": "string", "minLength": 1, "maxLength": .number(nameBytes)], ["type": "integer"],
                    ["type": "null"],
                ],
            ])),
        .nullable("text", string("The text: more than white space, without NUL characters.", atLeast: 1)),
        .nullable(
            "loss",
            array(
                "The parts of the text that carry loss, in Unicode code points, in order and without overlaps; without them, all of it.",
                of: object(
                    "A part.", .count("start", "The index of its first code point."),
                    .count("end", "The index after its last code point.", from: 1)))),
        .nullable("prompt", string("The text before the completion. It carries no loss.")),
        .nullable("completion", string("The text that follows the prompt directly. It carries the loss.", atLeast: 1)),
        .nullable("messages", chat),
        .nullable("conversations", chat),
        .nullable(
            "input_ids",
            array("Tokens that were made elsewhere, special tokens included.", of: integer("A token's id.", from: 0))),
        .nullable(
            "labels",
            array("For each token, its id if it carries loss, and -100 if not.", of: integer("A label.", from: -100))),
        .nullable(
            "attention_mask",
            array("For each token, 1; or 0 for padding, which is left out.", of: integer("A mark.", from: 0))),
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
            ]))
    ).with(alternatives: [
        (["text"], ["completion", "messages", "conversations", "input_ids", "labels"]),
        (["prompt", "completion"], ["text", "messages", "conversations", "input_ids", "labels", "loss"]),
        (["messages"], ["text", "completion", "input_ids", "labels", "loss"]),
        (["conversations"], ["text", "completion", "messages", "input_ids", "labels", "loss"]),
        (["input_ids"], ["text", "completion", "messages", "conversations", "loss"]),
    ])

    private static let chat = array(
        "A chat, which the model's chat template writes out. The assistant's turns carry the loss.",
        of: object(
            "A message: role and content, or from and value.", isOpen: true,
            .text("role", "The role, such as user or assistant.").orAbsent,
            .optional("content", anything("The text.")),
            .text("from", "The role, in older data sets.").orAbsent, .optional("value", anything("The text, there."))))

    static let ingestion = object(
        "What was added.", .count("added", "How many documents are new."),
        .count(
            "duplicates",
            "How many records have a text that the corpus already has, or that an earlier record of the request has."),
        .count("empty", "How many records have a text without tokens; they are not added."),
        .count("cut", "How many rows with a loss mask were cut to the sequence length."),
        .count("without_loss", "How many rows have no token that carries loss; they are not added."),
        .count(
            "cut_before_loss",
            "How many rows carry loss only after the sequence length; they are not added."),
        .count("sequences", "How many sequences are new: a long document has several."),
        .count("tokens", "How many tokens the new documents have."),
        .list(
            "ids",
            "For each record, in order, the id of the document with its text; null for a record that is not added.",
            of: string("An id.").orNull),
        .required("corpus", reference(.corpusStatistics)))

    static let corpusStatistics = object(
        "The size of the corpus.", .count("documents", "How many documents with different texts it has."),
        .count("sequences", "How many sequences it has."), .count("tokens", "How many tokens all documents have."),
        .count("duplicates", "How many further copies of these texts were sent."))

    // MARK: - Model

    static let completionRequest = object(
        "A prompt to continue.",
        .required("prompt", string("The text to continue.", within: CompletionRequest.Limits.prompt)),
        .nullable(
            "max_tokens",
            integer(
                "How many tokens to generate at most.", in: CompletionRequest.Limits.maximumTokens, default: 32)),
        .nullable(
            "temperature",
            number(
                "The sampling temperature; 0 takes the likeliest token at each step.",
                in: CompletionRequest.Limits.temperature, default: 0)),
        .nullable(
            "seed",
            integer("The same seed gives the same completion.", in: CompletionRequest.Limits.seed, default: 0)))

    static let completion = object(
        "The model's continuation of a prompt.", .text("prompt", "The prompt."),
        .text("completion", "The text with which the model continued it."),
        .list("tokens", "The completion's tokens.", of: reference(.queryToken)),
        .required(
            "finish_reason",
            choice(
                "Why the completion ended; time_limit: it took longer than the server allows.",
                ["length", "end_of_text", "context_full", "time_limit"])))

    static let model = object(
        "The model, its factors and its corpus, as loaded.", .text("name", "The model's name."),
        .text("architecture", "The model's family."), .count("parameters", "How many parameters the model has."),
        .count("context_length", "The most tokens that the model can read.", from: 1),
        .count("vocabulary", "How many tokens the vocabulary has.", from: 1),
        .text("digest", "A digest that distinguishes the model from any other."),
        .list(
            "tracked_layers", "The linear layers through which influence is computed.",
            of: object(
                "A layer.", .text("name", "The layer's name."),
                .count("inputs", "How many inputs it has, counting its bias as one.", from: 1),
                .count("outputs", "How many outputs it has.", from: 1))),
        .required(
            "factors",
            object(
                "How the EK-FAC factors were fitted.",
                .required("fisher", choice("The kind of Fisher matrix.", ["sampled", "empirical", "unknown"])),
                .count("sequences", "How many sequences they were fitted on."),
                .count("tokens", "How many tokens they were fitted on.").orAbsent,
                .optional("seed", integer("The fit's seed.", in: UInt64.min...UInt64.max)),
                .count("bytes", "How much memory they take."),
                .list(
                    "layers_without_curvature",
                    "The tracked layers that no gradient of the fit reached: nothing has influence through them.",
                    of: string("A layer's name.")),
                .list("warnings", "What makes scores with these factors doubtful.", of: string("A sentence.")))),
        .required("corpus", reference(.corpusStatistics)),
        .optional(
            "index",
            object(
                "The gradient index, if there is one.",
                .count("sequences", "How many sequences are indexed."),
                .count("leading", "How many leading directions it keeps of each side of a layer.", from: 1),
                .count("signs", "How many signs it keeps of each layer.", from: 64),
                .count("bytes", "The size of its file."))),
        .optional(
            "chat_template", boolean("Whether the model comes with a chat template, so that queries can be chats.")))

    // MARK: - Server

    static let health = object(
        "The state of the server.",
        .required(
            "status",
            choice(
                "alive: it runs; starting: the model is being loaded; ready: queries are answered; draining: it is stopping; "
                    + "failed: it could not start.", ["alive", "starting", "ready", "draining", "failed"])),
        .text("stage", "The present stage of the start.").orAbsent,
        .text("reason", "Why the start failed.").orAbsent)

    static let callList = object(
        "Every call of the API.", .required("service", choice("The service's name.", ["tributary"])),
        .text("version", "The service's version."),
        .list(
            "calls", "The calls.",
            of: object(
                "A call.", .text("method", "Its method."),
                .text("path", "Its path, in which {name} stands for one segment."),
                .text("summary", "What it does."))))

    private static let problemMembers: [Property] = [
        .text("type", "The kind of problem, such as /problems/unknown-job; GET it for an explanation."),
        .text("title", "The name of the kind."),
        .required("status", integer("The status of the response.", in: 400...599)),
        .text("detail", "What was wrong this time, and what to do about it."),
        .text("field", "The path of the member, or the name of the query item, that is at fault.").orAbsent,
    ]

    static let problem = object(
        "Why a request was not answered (RFC 9457).",
        problemMembers + [
            .optional("line", integer("The line of the body that is at fault, if the body has lines.", from: 1)),
            .optional("instance", string("The request's path.")),
        ])

    static let embeddedProblem = object("Why a query has no result.", problemMembers)

    static let problemKind = object(
        "A kind of problem.", .text("type", "The type of all problems of the kind."),
        .text("title", "The name of the kind."),
        .required("status", integer("The status of responses with such a problem.", in: 400...599)),
        .text("explanation", "When the problem occurs, and what to do about it."))

    static let problemKindList = object(
        "Every kind of problem.", .list("problems", "The kinds, by name.", of: reference(.problemKind)))
}
