import Attribution
import Foundation
import HTTP
import HTTPTypes
import JSON
import Limits

extension API {
    var scoreOperations: [Operation] {
        [
            Operation(
                method: .post, pattern: "/v1/scores", id: "postScores", tag: .influence, scope: .query,
                summary: "Score ad-hoc texts, and wait for the scores",
                details: """
                    The texts need not be in the corpus. They are scored with the uncompressed gradient. The request waits in the \
                    same queue as all other queries, in which small queries go first. Nothing of it is written to disk. While it \
                    waits and runs, GET /v1/jobs lists it without its texts. When it has ended, or its client has closed the \
                    connection, the server forgets it. The same request gives the same scores again.
                    """,
                parameters: [
                    .header(
                        "Prefer", "wait=SECONDS (RFC 7240): the longest time to wait.",
                        schema: .string("A preference.", example: "wait=10"))
                ],
                body: .json("The query and the texts.", .scoresRequest),
                answers: [.json("A score for each text, in the order given.", .scores)],
                problems: ProblemKind.ofJSONBodies + ProblemKind.ofEngineCalls
                    + [.queueFull, .tooManyQueries, .jobCancelled], handler: postScores)
        ]
    }

    @Sendable private func postScores(_ request: Request) async throws -> Response {
        let asked = try ScoresRequest(try request.json(), limits: configuration.query)
        let engine = try readiness.engine()
        let query = asked.query
        do {
            try await validations.run { try engine.validate(query) }
            log(query)
            let result = try await answer(to: query, within: Preferences(request.headers).wait)
            return try .json(encoding: ScoresDocument(result, ids: asked.ids))
        } catch let SubmissionError.tooCostly(_, excess) {
            let field = excess.field(of: query).replacing("candidates.", with: "")
            throw Problem.unusableField(field == "rank" ? "prompt" : field, excess.reason)
        } catch QueryError.unusable(let field, let reason) {
            throw QueryError.unusable(field: field.replacing("candidates.", with: ""), reason: reason)
        }
    }

    /// Answers a query in its turn, as long as the client is connected.
    private func answer(to query: InfluenceQuery, within wait: Int?) async throws -> InfluenceResult {
        let longest = min(configuration.jobs.maximumWaitSeconds, Self.patience)
        let outcome = try await runner.answer(
            query, asker: Authenticator.caller.map { Asker(id: $0.id, queryLimit: $0.queuedQueries) },
            within: min(wait.map(Double.init) ?? longest, longest))
        switch outcome {
        case .result(let body): return try JSONTreeDecoder.decode(InfluenceResult.self, from: body)
        case .failure(let failure): throw Problem(failure)
        case nil:
            if await runner.isStopping { throw Problem.stopping }
            throw Problem.unavailable(
                detail: """
                    The server is too busy to score the texts in time. Try again, with fewer texts if there are many; or post them \
                    to /v1/influence as candidates.texts, and fetch the result later.
                    """,
                retryAfter: 5)
        }
    }

    /// The longest that a request is kept waiting, in seconds.
    private static let patience = 60.0
}

/// The body of POST /v1/scores: texts, and the query on which their influence is computed.
struct ScoresRequest {
    /// The query, with the texts as its candidates.
    var query: InfluenceQuery
    /// The client's own names for the texts.
    var ids: [String?]

    /// - Throws: A ``Problem`` with status 422 and the field.
    init(_ body: JSONTree, limits: Configuration.Query) throws {
        let texts = try body.decoded(as: Members.self).texts
        ids = texts.map(\.id)
        // The other members are a query's, which checks them itself.
        query = try body.removing("texts").decoded(as: InfluenceQuery.self)
        query.candidates = CandidateSelection(texts: texts.map(\.text))
        try limits.refuseTooMany(texts.map(\.text), field: "texts")
    }

    /// All members that the body can have. Only `texts` is read here.
    private struct Members: Decodable {
        var texts: [Text]

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case prompt, completion, spans, contrast, measurement, combine, messages, texts, damping, estimator,
                attribution
            case dropTurns = "drop_turns"
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseUnknownKeys(of: CodingKeys.self)
            let container = try decoder.container(keyedBy: CodingKeys.self)
            texts = try container.decode([Text].self, forKey: .texts)
        }
    }

    private struct Text: Decodable {
        var id: String?
        var text: String

        private enum CodingKeys: String, CodingKey, CaseIterable { case id, text }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                self.text = text
                return
            }
            try decoder.refuseUnknownKeys(of: CodingKeys.self)
            let container = try decoder.container(keyedBy: CodingKeys.self)
            id = try container.decodeIfPresent(.id, within: InfluenceQuery.Limits.id)
            text = try container.decode(String.self, forKey: .text)
        }
    }
}

extension JSONTree {
    fileprivate func removing(_ name: String) -> JSONTree {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { !$0.name.hasSameBytes(as: name) })
    }
}

extension Configuration.Query {
    /// - Throws: A ``Problem`` with status 422 and the field, if there are too many texts or one is too long.
    func refuseTooMany(_ texts: [String]?, field: String) throws {
        guard let texts else { return }
        if let refusal = self.texts.refusal(of: texts) {
            throw Problem.unusableField(field, texts.isEmpty ? refusal : "\(refusal): send them in several requests")
        }
        for (index, text) in texts.enumerated() {
            guard let refusal = self.text.refusal(of: text) else { continue }
            throw Problem.unusableField("\(field)[\(index)]", text.isEmpty ? refusal : "\(refusal): split the text")
        }
    }
}

struct ScoresDocument: Encodable {
    var query: InfluenceResult.UnderstoodQuery
    var timings: InfluenceResult.Timings
    var method: InfluenceResult.Method?
    /// The number of sequences by which ``Score/natsPerCopy`` is divided.
    var corpusSequences: Int
    /// One per text, in the order of the request.
    var scores: [Score]

    /// The members are those of ``InfluentialSequence``.
    struct Score: Encodable {
        var index: Int
        var id: String?
        /// Null, like ``natsPerCopy``, if the model overflows on the text, which then has no score.
        var score: Double?
        var natsPerCopy: Double?
        var spurious: Bool
        var layers: [InfluentialSequence.LayerScore]?
        var tokens: [InfluentialSequence.TokenScore]?
        var outputTokens: [InfluentialSequence.TokenScore]?

        enum CodingKeys: String, CodingKey {
            case index, id, score
            case natsPerCopy = "nats_per_copy"
            case spurious, layers, tokens
            case outputTokens = "output_tokens"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(index, forKey: .index)
            try container.encodeIfPresent(id, forKey: .id)
            try container.encode(score, forKey: .score)
            try container.encode(natsPerCopy, forKey: .natsPerCopy)
            try container.encode(spurious, forKey: .spurious)
            try container.encodeIfPresent(layers, forKey: .layers)
            try container.encodeIfPresent(tokens, forKey: .tokens)
            try container.encodeIfPresent(outputTokens, forKey: .outputTokens)
        }
    }

    enum CodingKeys: String, CodingKey {
        case query, timings, method
        case corpusSequences = "corpus_sequences"
        case scores
    }

    init(_ result: InfluenceResult, ids: [String?]) {
        query = result.query
        timings = result.timings
        method = result.method
        corpusSequences = result.candidates.corpusSequences
        let scored = Dictionary(
            result.sequences.compactMap { sequence in sequence.index.map { ($0, sequence) } },
            uniquingKeysWith: { first, _ in first })
        scores = ids.enumerated().map { index, id in
            let sequence = scored[index]
            return Score(
                index: index, id: id, score: sequence?.score, natsPerCopy: sequence?.natsPerCopy,
                spurious: sequence?.spurious ?? false, layers: sequence?.layers, tokens: sequence?.tokens,
                outputTokens: sequence?.outputTokens)
        }
    }
}
