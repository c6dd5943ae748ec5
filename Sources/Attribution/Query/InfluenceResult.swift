import Corpus
import JSON

/// The answer to one query: training sequences, ranked by their influence on the completion.
public struct InfluenceResult: Sendable, Equatable, Codable {
    public var query: UnderstoodQuery
    /// Seconds of each stage; the sweep's is the whole batch's.
    public var timings: Timings
    public var candidates: CandidateSummary
    /// Absent in results of earlier versions, which knew EK-FAC alone.
    public var method: Method?
    /// How all that was scored is distributed; absent where nothing was, and in results of earlier versions.
    public var distribution: ScoreDistribution?
    /// The influence of all that was scored, summed by source, the largest sums first; at most ``SourceInfluence/limit``. Absent in
    /// results of earlier versions.
    public var sources: [SourceInfluence]?
    /// All the other sources together; absent where there are none.
    public var otherSources: SourceInfluence.Others?
    /// What the choice of candidates has missed, where the query asks for that.
    public var prefilterBias: PrefilterBias?
    public var sequences: [InfluentialSequence]

    enum CodingKeys: String, CodingKey {
        case query, timings, candidates, method, distribution, sources
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
        /// Whether that token also holds the end of the prompt, because that is how the tokenizer joins the two.
        public var completionStartsInsideToken: Bool
        /// The whole completion's log-probability given the prompt, in nats.
        public var logProbability: Double
        /// The parts of the completion that were asked about, if only some were; ``QueryToken/measured`` says which tokens they are.
        public var spans: [CompletionSpan]?
        /// The other completion, if there is one.
        public var contrast: Continuation?
        /// `f`, which is explained, in nats: the log-probability of the measured tokens, less that of the contrast. Absent in results of
        /// earlier versions, where it is the completion's log-probability.
        public var measurement: Double?

        enum CodingKeys: String, CodingKey {
            case id, prompt, completion, tokens
            case completionStart = "completion_start"
            case completionStartsInsideToken = "completion_starts_inside_token"
            case logProbability = "log_probability"
            case spans, contrast, measurement
        }
    }

    /// Another completion of the prompt, as it was understood; its members are those of ``UnderstoodQuery``.
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
        /// Of a completion token, given everything before it, in nats; absent for the prompt's tokens.
        public var logProbability: Double?
        /// Where only parts of the completion were asked about: whether this token is one of those that are explained.
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
        /// How they were chosen: "tfidf", "index", "both", "all", "ids" or "texts".
        public var selection: String
        /// How many sequences were scored for this query.
        public var considered: Int
        /// How many of these have a score that is no finite number, because the model overflows on them. They are in no ranking, sum or
        /// distribution. Absent in results of earlier versions, which did not survive any.
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

/// One training sequence and its influence.
public struct InfluentialSequence: Sendable, Equatable, Codable {
    /// From 1, separately for proponents and opponents.
    public var rank: Int
    public var id: String
    /// Of a text that came with the query: its place among them, from 0. Its id is made of that, its source is "given".
    public var index: Int?
    public var text: String
    public var source: String?
    public var metadata: JSONTree?
    /// Influence `grad fᵀ (G + λI)⁻¹ grad log p(z)`, in nats; positive: training on it makes the completion likelier.
    public var score: Double
    /// The score over the number of training sequences: the first-order change of the completion's log-probability if one more
    /// copy of the sequence were added to the training set.
    public var natsPerCopy: Double
    /// Whether nearly all of the influence lies in one token: the L2 norm of the token scores over their L1 norm exceeds 2/3
    /// (Grosse et al. 2023, section 5.3).
    public var spurious: Bool
    /// Where asked for: the influence through each tracked layer; they add up to the score.
    public var layers: [LayerScore]?
    /// Where asked for: the influence of each token; they add up to the score. The text is that of the token whose position
    /// carries the gradient, which predicts the one after it.
    public var tokens: [TokenScore]?
    /// Where asked for: by how much each token of the sequence itself becomes likelier if the model moves towards the query, as the derivative
    /// of its log-probability along `(G + λI)⁻¹ grad f` (Grosse et al. 2023, appendix B). They add up to the score with the gradient as it
    /// is, and the text is that of the token that is predicted. Absent too where a derivative is not finite.
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
        case rank, id, index, text, source, metadata, score
        case natsPerCopy = "nats_per_copy"
        case spurious, layers, tokens
        case outputTokens = "output_tokens"
    }
}
