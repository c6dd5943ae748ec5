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
        var score: Double
        var natsPerCopy: Double
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
        scores = result.sequences.sorted { ($0.index ?? 0) < ($1.index ?? 0) }.map { sequence in
            let index = sequence.index ?? 0
            return Score(
                index: index, id: ids.indices.contains(index) ? ids[index] : nil, score: sequence.score,
                natsPerCopy: sequence.natsPerCopy, spurious: sequence.spurious, layers: sequence.layers,
                tokens: sequence.tokens, outputTokens: sequence.outputTokens)
        }
    }
}
