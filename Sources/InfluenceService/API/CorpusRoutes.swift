import Attribution
import HTTP
import HTTPTypes
import JSON

extension API {
    var corpusOperations: [Operation] {
        [
            Operation(
                method: .post, pattern: "/v1/sequences", id: "addSequences", tag: .corpus, scope: .admin,
                summary: "Add all documents of the request to the corpus, or none",
                details: """
                    A record is a text, a prompt with a completion, a chat or tokens. Rows without a token that carries loss, and rows \
                    that carry loss only after the sequence length, are counted and not added. \
                    The documents are on disk when the answer is sent, and all later queries use them; running queries continue \
                    without them. A text that the corpus already has is counted and stored once, so repeating a request adds \
                    nothing. Documents longer than the sequence length are split into several sequences. The body can be \
                    compressed with Content-Encoding: gzip.
                    """,
                body: .init(
                    description: "One document, or one document per line.",
                    forms: [("application/json", .reference(.sequenceRecord))]
                        + Self.lineTypes.map { ($0, .string("One document per line, each as in application/json.")) },
                    codings: ["gzip"]),
                answers: [.json("What was added.", .ingestion)],
                problems: [
                    .malformedJSON, .malformedCompression, .unsupportedMediaType, .unusableRecord, .tooManyRecords,
                    .bodyTooLarge, .storageFull,
                ] + ProblemKind.ofEngineCalls, handler: postSequences),
            Operation(
                method: .get, pattern: "/v1/sequences", id: "listSequences", tag: .corpus, scope: .read,
                summary: "List training sequences in the order in which they were added",
                parameters: [
                    .query(
                        "source", "Only sequences of this source.",
                        schema: .string("A source.", atLeast: 1, example: "books")),
                    .limit(default: 50),
                    .cursor,
                ], answers: [.json("A page of sequences.", .sequenceList)], problems: ProblemKind.ofEngineCalls,
                handler: getSequences),
            Operation(
                method: .get, pattern: "/v1/sequences/{id}", id: "getSequence", tag: .corpus, scope: .read,
                summary: "Get one training sequence with its metadata",
                parameters: [.path("id", "Its id, percent-encoded: a/b#2 is a%2Fb%232.", schema: .string("An id."))],
                answers: [.json("The sequence.", .sequence)],
                problems: [.unknownSequence, .unknownRoute] + ProblemKind.ofEngineCalls, handler: getSequence),
            Operation(
                method: .get, pattern: "/v1/search", id: "search", tag: .corpus, scope: .read,
                summary: "Find training sequences by their words",
                parameters: [
                    .query(
                        "q", "The words to search for.",
                        schema: .string("A text.", atLeast: 1, example: "the first man on the Moon"), isRequired: true),
                    .limit(default: 20),
                ], answers: [.json("The sequences with the highest TF-IDF scores.", .searchResult)],
                problems: ProblemKind.ofEngineCalls, handler: getSearch),
        ]
    }

    private static let lineTypes = ["application/x-ndjson", "application/jsonl"]

    @Sendable private func postSequences(_ request: Request) async throws -> Response {
        let type = request.mediaType
        let engine = try readiness.engine()
        let limits = configuration.ingestion
        let summary = try await ingestions.run {
            let body = try request.decompressedBody(limit: limits.maximumBytes)
            if type == "application/json" { try Self.requireObject(body) }
            return try engine.ingest(
                SequenceUpload(
                    body: body, form: type == "application/json" ? .object : .lines,
                    maximumRecords: limits.maximumRecords))
        }
        metrics.ingested(summary)
        logger.info(
            "sequences added",
            metadata: [
                "documents": .stringConvertible(summary.added), "duplicates": .stringConvertible(summary.duplicates),
                "sequences": .stringConvertible(summary.sequences),
                "without_loss": .stringConvertible(summary.withoutLoss + summary.cutBeforeLoss),
            ])
        return try .json(encoding: summary)
    }

    private static func requireObject(_ body: [UInt8]) throws(Problem) {
        let tree: JSONTree
        do { tree = try JSONReader.read(body) } catch { throw .malformedJSON(error) }
        guard case .object = tree else {
            throw .unusableRecord(line: 1, field: nil, reason: "expected an object, found \(tree.shown).")
        }
    }

    @Sendable private func getSequences(_ request: Request) async throws -> Response {
        let source = try request.item("source", expected: "the name of a source") { $0.isEmpty ? nil : $0 }
        let asked = try PageQuery(request, defaultLimit: 50)
        let engine = try readiness.engine()
        let page = try await lookups.run {
            try engine.sequences(after: asked.cursor ?? 0, source: source, limit: asked.limit)
        }
        return try .json(encoding: SequenceList(sequences: page.sequences, nextCursor: page.next.map(String.init)))
    }

    @Sendable private func getSequence(_ request: Request) async throws -> Response {
        let id = try request.parameter("id")
        let engine = try readiness.engine()
        guard let sequence = try await lookups.run({ try engine.sequence(id) }) else {
            throw Problem.unknownSequence(id)
        }
        return try .json(encoding: sequence)
    }

    @Sendable private func getSearch(_ request: Request) async throws -> Response {
        guard let text = request.query("q"), !text.isEmpty else {
            throw Problem.invalidField("q", detail: "The query item \"q\" must hold the words to search for.")
        }
        let limit = try request.limit(default: 20)
        let engine = try readiness.engine()
        return try .json(encoding: SearchResult(hits: try await lookups.run { try engine.search(text, limit: limit) }))
    }
}

struct SearchResult: Encodable {
    var hits: [SearchHit]
}

struct SequenceList: Encodable {
    var sequences: [SequenceDescription]
    var nextCursor: String?

    enum CodingKeys: String, CodingKey {
        case sequences
        case nextCursor = "next_cursor"
    }
}
