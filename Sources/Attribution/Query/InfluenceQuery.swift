import JSON
import Limits

/// A question: which training sequences made the model continue this prompt with this completion?
///
/// Decodes from JSON with the defaults below for what is absent; a field that is unknown or out of range is refused by name.
public struct InfluenceQuery: Sendable, Equatable, Codable {
    /// The asker's own name for the query, returned with its result.
    public var id: String?
    public var prompt: String
    public var completion: String
    /// The parts of the completion that are to be explained, widened to whole tokens; nil for all of it. The others are read, but their
    /// probability is not measured.
    public var spans: [CompletionSpan]?
    /// Another completion of the same prompt: scores then tell what made the completion likelier than this one.
    public var contrast: String?
    /// How many sequences to return in each direction.
    public var topK: Int
    public var direction: Direction
    public var candidates: CandidateSelection
    public var rank: Rank
    /// How many of each query's best candidates are scored again with the full-rank gradient.
    public var rescore: Int
    /// Damping in place of 0.1 times the mean eigenvalue of each layer.
    public var damping: Double?
    public var estimator: Estimator
    public var attribution: Breakdown

    /// Which end of the ranking is asked for.
    public enum Direction: String, Sendable, Codable, CaseIterable {
        /// Proponents: sequences that make the completion likelier.
        case positive
        /// Opponents: sequences that make it less likely.
        case negative
        case both
    }

    /// The rank to which a preconditioned query gradient is compressed for the sweep.
    public enum Rank: Sendable, Equatable, Codable {
        case limited(Int)
        case full

        public init(from decoder: any Swift.Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let word = try? container.decode(String.self) {
                guard word == "full" else {
                    throw DecodingError.dataCorruptedError(
                        in: container,
                        debugDescription: "expected \(Limits.rank.expected), or \"full\", found \"\(word)\"")
                }
                self = .full
            } else {
                let rank = try container.decode(Int.self)
                if let refusal = Limits.rank.refusal(of: rank) {
                    throw DecodingError.dataCorruptedError(
                        in: container, debugDescription: "\(refusal), or \"full\" for no compression")
                }
                self = .limited(rank)
            }
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .limited(let rank): try container.encode(rank)
            case .full: try container.encode("full")
            }
        }
    }

    /// What each score is broken down into.
    public struct Breakdown: Sendable, Equatable, Codable {
        public var layers: Bool
        public var tokens: Bool
        /// By the tokens that become likelier if the model moves towards the query: ``InfluentialSequence/outputTokens``.
        public var outputTokens: Bool

        public init(layers: Bool = false, tokens: Bool = false, outputTokens: Bool = false) {
            self.layers = layers
            self.tokens = tokens
            self.outputTokens = outputTokens
        }

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case layers, tokens
            case outputTokens = "output_tokens"
        }

        public init(from decoder: any Swift.Decoder) throws {
            try decoder.refuseUnknownKeys(of: CodingKeys.self)
            let container = try decoder.container(keyedBy: CodingKeys.self)
            layers = try container.decodeIfPresent(Bool.self, forKey: .layers) ?? false
            tokens = try container.decodeIfPresent(Bool.self, forKey: .tokens) ?? false
            outputTokens = try container.decodeIfPresent(Bool.self, forKey: .outputTokens) ?? false
        }
    }

    public init(
        id: String? = nil, prompt: String, completion: String, spans: [CompletionSpan]? = nil,
        contrast: String? = nil, topK: Int = 20, direction: Direction = .positive,
        candidates: CandidateSelection = CandidateSelection(), rank: Rank = .limited(32), rescore: Int = 100,
        damping: Double? = nil, estimator: Estimator = .ekfac, attribution: Breakdown = Breakdown()
    ) {
        self.id = id
        self.prompt = prompt
        self.completion = completion
        self.spans = spans
        self.contrast = contrast
        self.topK = topK
        self.direction = direction
        self.candidates = candidates
        self.rank = rank
        self.rescore = rescore
        self.damping = damping
        self.estimator = estimator
        self.attribution = attribution
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case id, prompt, completion, spans, contrast
        case topK = "top_k"
        case direction, candidates, rank, rescore, damping, estimator, attribution
    }

    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let defaults = InfluenceQuery(prompt: "", completion: "")
        id = try container.decodeIfPresent(.id, within: Limits.id)
        prompt = try container.decode(.prompt, within: Limits.text)
        completion = try container.decode(.completion, within: Limits.text)
        spans = try container.decodeIfPresent(.spans, within: Limits.spans)
        contrast = try container.decodeIfPresent(.contrast, within: Limits.text)
        topK = try container.decodeIfPresent(.topK, within: Limits.topK) ?? defaults.topK
        direction = try container.decodeIfPresent(Direction.self, forKey: .direction) ?? defaults.direction
        candidates = try container.decodeIfPresent(CandidateSelection.self, forKey: .candidates) ?? defaults.candidates
        rank = try container.decodeIfPresent(Rank.self, forKey: .rank) ?? defaults.rank
        rescore = try container.decodeIfPresent(.rescore, within: Limits.rescore) ?? defaults.rescore
        damping = try container.decodeIfPresent(.damping, within: Limits.damping)
        estimator = try container.decodeIfPresent(Estimator.self, forKey: .estimator) ?? defaults.estimator
        attribution = try container.decodeIfPresent(Breakdown.self, forKey: .attribution) ?? defaults.attribution
        if let fault = spans?.fault(in: completion) {
            throw DecodingError.dataCorruptedError(forKey: .spans, in: container, debugDescription: fault)
        }
        guard contrast?.hasSameBytes(as: completion) != true else {
            throw DecodingError.dataCorruptedError(
                forKey: .contrast, in: container, debugDescription: "expected another completion than the query's own")
        }
    }
}
