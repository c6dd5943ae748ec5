import Attribution

/// What POST /v1/scores answers with.
struct ScoresDocument: Encodable {
    var query: InfluenceResult.UnderstoodQuery
    var timings: InfluenceResult.Timings
    var method: InfluenceResult.Method?
    /// By how many sequences ``Score/natsPerCopy`` is divided.
    var corpusSequences: Int
    /// One a text, in the order of the request.
    var scores: [Score]

    /// The members are those of ``InfluentialSequence``.
    struct Score: Encodable {
        var index: Int
        /// The asker's own name of the text.
        var id: String?
        /// Null, as ``natsPerCopy`` is, where the model overflows on the text: it has no score.
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
