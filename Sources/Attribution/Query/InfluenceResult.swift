import Corpus
import JSON

/// The answer to one query: training sequences, ranked by their influence on the completion.
public struct InfluenceResult: Sendable, Equatable, Codable {
    public var query: UnderstoodQuery
    /// Seconds per stage, for the whole query batch.
    public var timings: Timings
    public var candidates: CandidateSummary
    /// Absent in results of earlier versions, which only had EK-FAC.
    public var method: Method?
    /// What makes the scores doubtful, in sentences; absent if nothing does, and in results of earlier versions.
    public var warnings: [String]?
    /// The distribution of all scores; absent if there are none, and in results of earlier versions.
    public var distribution: ScoreDistribution?
    /// The influence of all scored sequences, summed by source, the largest sums first; at most ``SourceInfluence/limit``. Absent in
    /// results of earlier versions.
    public var sources: [SourceInfluence]?
    /// All other sources together; absent if there are none.
    public var otherSources: SourceInfluence.Others?
    /// The influence that the choice of candidates has missed, if the query asks for it.
    public var prefilterBias: PrefilterBias?
    public var sequences: [InfluentialSequence]
    /// The scores of all candidates, if the query asks for them. They are not part of the JSON, for which there can be too many.
    public var allScores: CandidateScores?

    enum CodingKeys: String, CodingKey {
        case query, timings, candidates, method, warnings, distribution, sources
        case otherSources = "other_sources"
        case prefilterBias = "prefilter_bias"
        case sequences
    }

    /// The query as it was understood.
    public struct UnderstoodQuery: Sendable, Equatable, Codable {
        public var id: String?
        public var prompt: String
        public var completion: String
        /// The tokens of prompt and completion.
        public var tokens: [QueryToken]
        /// Index of the completion's first token.
        public var completionStart: Int
        /// Whether that token also holds the end of the prompt, because the tokenizer joins the two.
        public var completionStartsInsideToken: Bool
        /// The whole completion's log-probability given the prompt, in nats.
        public var logProbability: Double
        /// The explained parts of the completion, if the query names some; ``QueryToken/measured`` marks their tokens.
        public var spans: [CompletionSpan]?
        /// The other completion, if there is one.
        public var contrast: Continuation?
        /// The explained `f`, in nats: the log-probability of the measured tokens, less that of the contrast. Absent in results of earlier
        /// versions, where it is the completion's log-probability.
        public var measurement: Double?
        /// The parts of a behaviour; nil for a single completion. Prompt, completion and tokens are empty if there are parts.
        public var parts: [Part]?
        public var combine: InfluenceQuery.Combination?
        /// How many of a chat's first messages were left out because it was too long; nil if none was.
        public var droppedMessages: Int?

        enum CodingKeys: String, CodingKey {
            case id, prompt, completion, tokens
            case completionStart = "completion_start"
            case completionStartsInsideToken = "completion_starts_inside_token"
            case logProbability = "log_probability"
            case spans, contrast, measurement, parts, combine
            case droppedMessages = "dropped_messages"
        }
    }

    /// One part of a behaviour.
    public struct Part: Sendable, Equatable, Codable {
        public var prompt: String
        public var completion: String
        public var contrast: String?
        public var weight: Double
        /// The completion's log-probability given the prompt, in nats.
        public var logProbability: Double
        public var contrastLogProbability: Double?
        /// How much of the behaviour's own influence on itself comes from this part: `wᵢ grad fᵢᵀ (G + λI)⁻¹ grad f` over
        /// `grad fᵀ (G + λI)⁻¹ grad f`, with `wᵢ` as in `f = Σ wᵢ fᵢ`. All shares add up to 1; one can be negative. Nil if the divisor is zero.
        public var share: Double?
        /// As in ``UnderstoodQuery``.
        public var droppedMessages: Int?

        enum CodingKeys: String, CodingKey {
            case droppedMessages = "dropped_messages"
            case prompt, completion, contrast, weight
            case logProbability = "log_probability"
            case contrastLogProbability = "contrast_log_probability"
            case share
        }
    }

    /// The contrast as it was understood; its members are those of ``UnderstoodQuery``.
    public struct Continuation: Sendable, Equatable, Codable {
        public var completion: String
        public var tokens: [QueryToken]
        public var completionStart: Int
        public var completionStartsInsideToken: Bool
        public var logProbability: Double

        enum CodingKeys: String, CodingKey {
            case completion, tokens
            case completionStart = "completion_start"
            case completionStartsInsideToken = "completion_starts_inside_token"
            case logProbability = "log_probability"
        }
    }

    public struct QueryToken: Sendable, Equatable, Codable {
        public var id: Int32
        public var text: String
        /// The log-probability of a completion token, given everything before it, in nats; absent for the prompt's tokens.
        public var logProbability: Double?
        /// Whether this token is explained; absent if the query names no parts of the completion.
        public var measured: Bool?

        enum CodingKeys: String, CodingKey {
            case id, text
            case logProbability = "log_probability"
            case measured
        }
    }

    public struct Timings: Sendable, Equatable, Codable {
        public var gradients: Double
        public var candidates: Double
        public var sweep: Double
        public var rescore: Double
        /// How many queries shared the sweep.
        public var batchSize: Int

        enum CodingKeys: String, CodingKey {
            case gradients, candidates, sweep, rescore
            case batchSize = "batch_size"
        }
    }

    public struct CandidateSummary: Sendable, Equatable, Codable {
        /// How candidates were chosen: "tfidf", "index", "both", "all", "ids" or "texts".
        public var selection: String
        /// How many sequences were scored for this query.
        public var considered: Int
        /// How many of these have a score that is not finite, because the model overflows on them. They are in no ranking, sum or
        /// distribution. Absent in results of earlier versions, which could not handle such scores.
        public var notFinite: Int?
        /// How many sequences the corpus has.
        public var corpusSequences: Int

        enum CodingKeys: String, CodingKey {
            case selection, considered
            case notFinite = "not_finite"
            case corpusSequences = "corpus_sequences"
        }
    }
}

extension InfluenceResult {
    /// How the query's gradient was multiplied by the inverse curvature, and the cost of that. Only iterating estimators have a cost.
    public struct Method: Sendable, Equatable, Codable {
        public var estimator: InfluenceQuery.Estimator
        /// The largest rank to which a layer's gradient was compressed for the sweep; nil if it was not compressed.
        public var rank: Int?
        public var iterations: Int?
        /// Sequences run through the model. A sequence counts each time that it was run.
        public var sequences: Int?
        /// The tokens of these sequences.
        public var tokens: Int?
        public var seconds: Double?
        /// The step size with which the iteration did not diverge.
        public var step: Double?
        /// `‖∇f - (G + λI) x‖ / ‖∇f‖` at the last step, with the G of its batch of sequences and the preconditioner's norm `√(rᵀ P⁻¹ r)`.
        public var residual: Double?
    }
}

/// One training sequence and its influence.
public struct InfluentialSequence: Sendable, Equatable, Codable {
    /// From 1, separately for proponents and opponents.
    public var rank: Int
    public var id: String
    /// The index of an ad-hoc text among the query's texts, from 0. Its id contains the index, and its source is "given".
    public var index: Int?
    public var text: String
    public var source: String?
    public var metadata: JSONTree?
    /// The parts of the text on which training took its loss, in code points; nil if that is all of it.
    public var loss: [CompletionSpan]?
    /// The influence `grad fᵀ (G + λI)⁻¹ grad log p(z)`, in nats. If positive, training on the sequence makes the completion likelier.
    public var score: Double
    /// The score divided by the number of training sequences: the first-order change of the completion's log-probability if one more copy
    /// of the sequence were added to the training set.
    public var natsPerCopy: Double
    /// Whether nearly all of the influence is in one token: the L2 norm of the token scores over their L1 norm exceeds 2/3
    /// (Grosse et al. 2023, section 5.3).
    public var spurious: Bool
    /// The influence through each tracked layer, if asked for. These add up to the score.
    public var layers: [LayerScore]?
    /// The influence of each token, if asked for. These add up to the score. The text is that of the token whose position carries the
    /// gradient, which predicts the next token.
    public var tokens: [TokenScore]?
    /// By how much each token of the sequence becomes likelier if the model moves towards the query, if asked for: the derivative of the
    /// token's log-probability along `(G + λI)⁻¹ grad f` (Grosse et al. 2023, appendix B). These add up to the score with the full
    /// gradient. The text is that of the predicted token. Also absent if a derivative is not finite.
    public var outputTokens: [TokenScore]?

    public struct LayerScore: Sendable, Equatable, Codable {
        public var name: String
        public var score: Double
    }

    public struct TokenScore: Sendable, Equatable, Codable {
        public var text: String
        public var score: Double
    }

    enum CodingKeys: String, CodingKey {
        case rank, id, index, text, source, metadata, loss, score
        case natsPerCopy = "nats_per_copy"
        case spurious, layers, tokens
        case outputTokens = "output_tokens"
    }
}

/// The influence of all sequences of one source that were scored.
public struct SourceInfluence: Sendable, Equatable, Codable {
    /// Nil for the sequences without a source; written as null.
    public var source: String?
    /// How many of the source's sequences were scored.
    public var sequences: Int
    /// The sum of their scores above zero, in nats.
    public var positive: Double
    /// The sum of their scores below zero.
    public var negative: Double

    /// The most sources that a result lists.
    public static let limit = 50

    /// The sources that a result does not list.
    public struct Others: Sendable, Equatable, Codable {
        /// How many sources these are.
        public var sources: Int
        public var sequences: Int
        public var positive: Double
        public var negative: Double
    }

    private enum CodingKeys: String, CodingKey { case source, sequences, positive, negative }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(source, forKey: .source)
        try container.encode(sequences, forKey: .sequences)
        try container.encode(positive, forKey: .positive)
        try container.encode(negative, forKey: .negative)
    }

    var magnitude: Double { positive - negative }

    /// Sums scores by source.
    ///
    /// - Returns: The sources of largest magnitude, in which positive and negative influence count alike, the largest first; and the sum of
    ///   the others, if there are any.
    static func sums(of scores: [(source: String?, score: Double)]) -> (sources: [SourceInfluence], others: Others?) {
        var sums: [ExactString?: SourceInfluence] = [:]
        for (source, score) in scores {
            let key = source.map(ExactString.init)
            var sum = sums[key] ?? SourceInfluence(source: source, sequences: 0, positive: 0, negative: 0)
            sum.sequences += 1
            sum.positive += max(score, 0)
            sum.negative += min(score, 0)
            sums[key] = sum
        }
        let ranked = sums.values.sorted {
            ($0.magnitude, ExactString($1.source ?? "")) > ($1.magnitude, ExactString($0.source ?? ""))
        }
        let unlisted = ranked.dropFirst(limit)
        guard !unlisted.isEmpty else { return (ranked, nil) }
        let others = Others(
            sources: unlisted.count, sequences: unlisted.reduce(0) { $0 + $1.sequences },
            positive: unlisted.reduce(0) { $0 + $1.positive }, negative: unlisted.reduce(0) { $0 + $1.negative })
        return (Array(ranked.prefix(limit)), others)
    }
}
