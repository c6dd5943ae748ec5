import JSON
import Limits

/// A question: which training sequences made the model continue this prompt with this completion?
///
/// Decodes from JSON, with the defaults below for absent fields. A field that is unknown or out of range is refused by name.
public struct InfluenceQuery: Sendable, Equatable, Codable {
    /// The client's name for the query, returned with its result.
    public var id: String?
    public var prompt: String
    public var completion: String
    /// The parts of the completion to explain, widened to whole tokens; nil for all of it. The model reads the other parts, but their
    /// probability is not measured.
    public var spans: [CompletionSpan]?
    /// Another completion of the same prompt; of a chat, another content of its last message. Scores then tell which sequences made the completion likelier than this one.
    public var contrast: String?
    /// The prompts and completions of a behaviour, in place of one prompt and one completion, which are empty then; nil otherwise.
    public var behaviour: [BehaviourPart]?
    public var combine = Combination.mean
    /// A chat whose last message, an assistant's, is the completion, in place of a prompt and a completion; nil otherwise. The model's chat
    /// template writes both.
    public var messages: [JSONTree]?
    /// Whether the first turns of a chat that is longer than the model's context are left out. Otherwise such a chat is refused.
    public var dropTurns = false
    /// How many of the chat's messages were left out, once it is written.
    var droppedMessages = 0
    /// How many sequences to return in each direction.
    public var topK: Int
    public var direction: Direction
    public var candidates: CandidateSelection
    public var rank: Rank
    /// How many of the query's leading candidates are scored again with the full-rank gradient.
    public var rescore: Int
    /// The damping; nil for 0.1 times the mean eigenvalue of each layer.
    public var damping: Double?
    public var estimator: Estimator
    public var attribution: Breakdown
    /// Whether the scores of all candidates are kept, besides the ranking.
    public var allScores = false

    /// The end of the ranking to return.
    public enum Direction: String, Sendable, Codable, CaseIterable {
        /// Proponents: sequences that make the completion likelier.
        case positive
        /// Opponents: sequences that make it less likely.
        case negative
        case both
    }

    /// The rank to which the preconditioned query gradient is compressed for the sweep.
    public enum Rank: Sendable, Equatable, Codable {
        case limited(Int)
        /// In each layer the least rank that keeps all but ``lostShare`` of the squared norm, at most ``mostFaithful``.
        case faithful
        case full

        static let lostShare = 0.01
        public static let mostFaithful = 256

        public init(from decoder: any Swift.Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let word = try? container.decode(String.self) {
                switch word {
                case "full": self = .full
                case "auto": self = .faithful
                default:
                    throw DecodingError.dataCorruptedError(
                        in: container,
                        debugDescription: "expected \(Limits.rank.expected), \"auto\" or \"full\", found \"\(word)\"")
                }
            } else {
                let rank = try container.decode(Int.self)
                if let refusal = Limits.rank.refusal(of: rank) {
                    throw DecodingError.dataCorruptedError(
                        in: container, debugDescription: "\(refusal), \"auto\", or \"full\" for no compression")
                }
                self = .limited(rank)
            }
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .limited(let rank): try container.encode(rank)
            case .faithful: try container.encode("auto")
            case .full: try container.encode("full")
            }
        }
    }

    /// The parts into which each score is broken down.
    public struct Breakdown: Sendable, Equatable, Codable {
        public var layers: Bool
        public var tokens: Bool
        /// The tokens that become likelier if the model moves towards the query: ``InfluentialSequence/outputTokens``.
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

    fileprivate enum CodingKeys: String, CodingKey, CaseIterable {
        case id, prompt, completion, spans, contrast
        case behaviour = "measurement"
        case combine, messages
        case dropTurns = "drop_turns"
        case topK = "top_k"
        case direction, candidates, rank, rescore, damping, estimator, attribution
        case allScores = "all_scores"
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(id, forKey: .id)
        if let behaviour {
            try container.encode(behaviour, forKey: .behaviour)
            try container.encode(combine, forKey: .combine)
        } else if let messages {
            try container.encode(messages, forKey: .messages)
            try container.encodeIfPresent(spans, forKey: .spans)
            try container.encodeIfPresent(contrast, forKey: .contrast)
        } else {
            try container.encode(prompt, forKey: .prompt)
            try container.encode(completion, forKey: .completion)
            try container.encodeIfPresent(spans, forKey: .spans)
            try container.encodeIfPresent(contrast, forKey: .contrast)
        }
        if dropTurns { try container.encode(true, forKey: .dropTurns) }
        try container.encode(topK, forKey: .topK)
        try container.encode(direction, forKey: .direction)
        try container.encode(candidates, forKey: .candidates)
        try container.encode(rank, forKey: .rank)
        try container.encode(rescore, forKey: .rescore)
        try container.encodeIfPresent(damping, forKey: .damping)
        try container.encode(estimator, forKey: .estimator)
        try container.encode(attribution, forKey: .attribution)
        if allScores { try container.encode(true, forKey: .allScores) }
    }

    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        behaviour = try container.decodeIfPresent(.behaviour, within: Limits.behaviour)
        let defaults = behaviour.map { InfluenceQuery(behaviour: $0) } ?? InfluenceQuery(prompt: "", completion: "")
        id = try container.decodeIfPresent(.id, within: Limits.id)
        messages = try container.decodeIfPresent(.messages, within: Limits.messages)
        try Self.check(messages ?? [], at: container.codingPath + [CodingKeys.messages])
        if messages != nil {
            for key in [CodingKeys.prompt, .completion, .behaviour] where try container.has(key) {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container, debugDescription: "expected either this or messages, found both")
            }
            (prompt, completion) = ("", "")
        } else if behaviour == nil {
            prompt = try container.decode(.prompt, within: Limits.text)
            completion = try container.decode(.completion, within: Limits.text)
        } else {
            for key in [CodingKeys.prompt, .completion, .spans, .contrast] where try container.has(key) {
                throw DecodingError.dataCorruptedError(
                    forKey: key, in: container,
                    debugDescription: "expected this in the parts of measurement, not beside it")
            }
            (prompt, completion) = ("", "")
        }
        let combination = try container.decodeIfPresent(Combination.self, forKey: .combine)
        guard combination == nil || behaviour != nil else {
            throw DecodingError.dataCorruptedError(
                forKey: .combine, in: container,
                debugDescription: "expected this only beside measurement, whose parts it combines; there is none")
        }
        combine = combination ?? defaults.combine
        let drops = try container.decodeIfPresent(Bool.self, forKey: .dropTurns)
        dropTurns = drops ?? false
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
        allScores = try container.decodeIfPresent(Bool.self, forKey: .allScores) ?? false
        if drops != nil, let refusal = dropTurnsRefusal {
            throw DecodingError.dataCorruptedError(forKey: .dropTurns, in: container, debugDescription: refusal)
        }
        if let refusal = allScoresRefusal {
            throw DecodingError.dataCorruptedError(forKey: .allScores, in: container, debugDescription: refusal)
        }
        if messages == nil, let fault = spans?.fault(in: completion) {
            throw DecodingError.dataCorruptedError(forKey: .spans, in: container, debugDescription: fault)
        }
        guard contrast?.hasSameBytes(as: completion) != true else {
            throw DecodingError.dataCorruptedError(
                forKey: .contrast, in: container,
                debugDescription: "expected a completion that differs from the query's own")
        }
    }
}

extension KeyedDecodingContainer<InfluenceQuery.CodingKeys> {
    /// Whether a member that must not be there is. Null is the same as absent, except for texts that are never null.
    fileprivate func has(_ key: Key) throws -> Bool {
        try contains(key) && (key == .prompt || key == .completion || !decodeNil(forKey: key))
    }
}

extension InfluenceQuery {
    /// How the inverse curvature between the two gradients of an influence is estimated.
    public enum Estimator: String, Sendable, Codable, CaseIterable {
        /// The fitted factors' own inverse (George et al. 2018; Grosse et al. 2023).
        case ekfac
        /// An iteration on the model's exact Gauss-Newton matrix, with the factors as its preconditioner (Wang et al. 2025). It adds step
        /// by step the curvature that the factors omit, such as that between layers.
        case astra
        /// No curvature: scores are inner products of gradients, and not in nats.
        case identity
    }
}

/// A part of a completion, counted in Unicode code points, as in Python's strings.
public struct CompletionSpan: Sendable, Equatable, Codable {
    /// The index of the first code point, from 0.
    public var start: Int
    /// The index after the last code point.
    public var end: Int

    public init(start: Int, end: Int) {
        self.start = start
        self.end = end
    }

    private enum CodingKeys: String, CodingKey, CaseIterable { case start, end }

    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        start = try container.decode(.start, within: InfluenceQuery.Limits.spanStart)
        end = try container.decode(.end, within: InfluenceQuery.Limits.spanEnd)
        guard end > start else {
            throw DecodingError.dataCorruptedError(
                forKey: .end, in: container, debugDescription: "expected a number above start, which is \(start)")
        }
    }
}

extension [CompletionSpan] {
    /// Why the spans cannot be parts of a completion; nil if they can.
    func fault(in completion: String) -> String? {
        if let refusal = InfluenceQuery.Limits.spans.refusal(of: self) { return refusal }
        let length = completion.unicodeScalars.count
        guard let wrong = first(where: { $0.start < 0 || $0.start >= $0.end || $0.end > length }) else { return nil }
        return "expected spans within the completion's \(length) code points, found \(wrong.start) to \(wrong.end)"
    }
}
