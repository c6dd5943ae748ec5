import Corpus
import JSON

extension Schema {
    static let sequence = object(
        "A training sequence: a document, or a piece of one.",
        .required("id", string("The document's, and for one of several pieces # and its number.")),
        .required("document_id", string("The document's id.")),
        .required("piece", integer("Which piece of its document, from 0.", from: 0)),
        .required("token_offset", integer("Tokens of the document before it.", from: 0)),
        .required("token_count", integer("Its tokens, with those that the tokenizer puts in front.", from: 0)),
        .required("text", string("Its text.")), .optional("source", string("Where its document is from.")),
        .optional("metadata", anything("What came with its document.")))

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
                    "Names the document, in at most \(nameBytes) bytes of UTF-8, and not as . or ..; without one it is named after its "
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
                    "Where it is from, in at most \(nameBytes) bytes of UTF-8; candidates can be filtered by it."),
            ])),
        .optional(
            "metadata",
            Schema(tree: [
                "type": ["object", "null"], "description": "Kept, and returned with the sequence.",
            ])))

    static let ingestion = object(
        "What was added.",
        .required("added", integer("Documents that are new.", from: 0)),
        .required(
            "duplicates",
            integer("Records whose text was there already, earlier ones of the request included.", from: 0)),
        .required("empty", integer("Records whose text gives no tokens; nothing is kept of them.", from: 0)),
        .required("sequences", integer("Sequences that are new: a long document is several.", from: 0)),
        .required("tokens", integer("The new documents' tokens.", from: 0)),
        .required(
            "ids",
            array(
                "Of each record, in order, the id of the document with its text; null for an empty one.",
                of: string("An id.").orNull)),
        .required("corpus", reference(.corpusStatistics)))

    static let corpusStatistics = object(
        "How large the corpus is.", .required("documents", integer("Documents of different text.", from: 0)),
        .required("sequences", integer("Sequences.", from: 0)),
        .required("tokens", integer("Tokens of all documents.", from: 0)),
        .required("duplicates", integer("Further copies of texts that were met.", from: 0)))
}
