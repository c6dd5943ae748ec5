import Corpus
import JSON

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
                        + "content. A whole number stands for its digits, however many."),
                "anyOf": [
                    ["type": "string", "minLength": 1, "maxLength": .number(nameBytes)], ["type": "integer"],
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
