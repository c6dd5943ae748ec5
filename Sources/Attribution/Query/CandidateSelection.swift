import Limits

/// The candidates of a query: sequences of the corpus, or ad-hoc texts.
public struct CandidateSelection: Sendable, Equatable, Codable {
    public var prefilter: Prefilter
    /// How many sequences the prefilter keeps; all of them if the corpus has fewer.
    public var limit: Int
    /// The ids of sequences or documents. If given, only these are scored.
    public var ids: [String]?
    /// If given, only sequences of this source are scored.
    public var source: String?
    /// Ad-hoc texts, which need not be in the corpus. Each is scored in full as if it were a training sequence, and returned whatever its
    /// score and the query's ``InfluenceQuery/topK`` and ``InfluenceQuery/direction``. They exclude ``ids`` and ``source``.
    public var texts: [String]?
    /// How many of the sequences that were not chosen are drawn at random and scored beside the candidates, to estimate what the choice
    /// has missed: ``PrefilterBias``.
    public var probe: Int?
    /// The seed of that draw; 0 by default.
    public var probeSeed: UInt64?

    public enum Prefilter: String, Sendable, Codable, CaseIterable {
        /// The sequences with the highest scores by TF-IDF: equation 28 of Grosse et al. 2023.
        case tfidf
        /// The sequences of largest influence in the query's direction, as the ``GradientIndex`` estimates it.
        case index
        /// The sequences with the largest sum of the index's estimate and TF-IDF, each in standard deviations: ``CombinedScores``.
        case both
        /// Every sequence of the corpus.
        case all
    }

    public init(
        prefilter: Prefilter = .tfidf, limit: Int = 1_000, ids: [String]? = nil, source: String? = nil,
        texts: [String]? = nil, probe: Int? = nil, probeSeed: UInt64? = nil
    ) {
        self.prefilter = prefilter
        self.limit = limit
        self.ids = ids
        self.source = source
        self.texts = texts
        self.probe = probe
        self.probeSeed = probeSeed
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case prefilter, limit, ids, source, texts, probe
        case probeSeed = "probe_seed"
    }

    public init(from decoder: any Swift.Decoder) throws {
        try decoder.refuseUnknownKeys(of: CodingKeys.self)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        prefilter = try container.decodeIfPresent(Prefilter.self, forKey: .prefilter) ?? .tfidf
        typealias Limits = InfluenceQuery.Limits
        limit = try container.decodeIfPresent(.limit, within: Limits.candidates) ?? 1_000
        ids = try container.decodeIfPresent(.ids, within: Limits.ids, each: Limits.name)
        source = try container.decodeIfPresent(.source, within: Limits.name)
        texts = try container.decodeIfPresent(.texts, within: Limits.texts, each: Limits.adHocText)
        probe = try container.decodeIfPresent(.probe, within: Limits.probe)
        probeSeed = try container.decodeIfPresent(.probeSeed, within: Limits.seed)
        func refuse(_ isWrong: Bool, _ key: CodingKeys, _ description: String) throws {
            guard isWrong else { return }
            throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: description)
        }
        try refuse(
            texts != nil && (ids != nil || source != nil), .texts,
            "texts are scored in place of sequences of the corpus: leave out ids and source")
        try refuse(
            texts != nil && probe != nil, .probe, "texts are not chosen from the corpus: there is nothing to probe")
    }
}

/// The influence that the choice of candidates has missed, estimated from a random sample of the other sequences.
///
/// The sample is scored as the candidates are. If a few sequences hold most of the influence, a sample without any of them estimates both
/// the missed influence and its standard error too low.
public struct PrefilterBias: Sendable, Equatable, Codable {
    /// How many sequences were drawn.
    public var sampled: Int
    /// How many sequences were not chosen.
    public var outside: Int
    /// The estimated sum of the scores above zero of all sequences that were not chosen, in nats, and its standard error.
    public var positiveOutside: Double
    public var positiveOutsideError: Double
    /// That sum as a share of all positive influence, inside and outside the choice; nil if there is none.
    public var missedShare: Double?
    /// The standard error of that share, which follows from that of the sum.
    public var missedShareError: Double?
    /// How many of the sample would have been among the returned sequences.
    public var wouldRank: Int
    /// The strongest of these, at most ``limit``.
    public var found: [Probe]

    public static let limit = 20

    /// A sequence that was not chosen, and would have been returned.
    public struct Probe: Sendable, Equatable, Codable {
        /// The rank that it would have had.
        public var rank: Int
        public var id: String
        public var source: String?
        public var score: Double
        /// The beginning of its text.
        public var text: String

        /// The most characters of a text.
        static let excerpt = 300
    }

    enum CodingKeys: String, CodingKey {
        case sampled, outside
        case positiveOutside = "positive_outside"
        case positiveOutsideError = "positive_outside_error"
        case missedShare = "missed_share"
        case missedShareError = "missed_share_error"
        case wouldRank = "would_rank"
        case found
    }

    /// Estimates from a simple random sample without replacement: the total is `N x̄`, its variance `N² s² / n (1 - n / N)`.
    ///
    /// - Parameters:
    ///   - sample: The scores of the `n` drawn sequences.
    ///   - outside: `N`, at least `n`.
    ///   - inside: The sum of the candidates' scores above zero.
    init(sample: [Double], outside: Int, inside: Double, wouldRank: Int, found: [Probe]) {
        let (count, all) = (Double(sample.count), Double(outside))
        let positive = sample.map { max($0, 0) }
        let mean = count > 0 ? positive.reduce(0, +) / count : 0
        let squares = positive.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let variance = count > 1 ? squares / (count - 1) : 0
        sampled = sample.count
        self.outside = outside
        positiveOutside = all * mean
        positiveOutsideError = count > 0 ? all * (variance / count * (1 - count / max(all, 1))).squareRoot() : 0
        let total = positiveOutside + inside
        missedShare = total > 0 ? positiveOutside / total : nil
        missedShareError = total > 0 ? inside / (total * total) * positiveOutsideError : nil
        self.wouldRank = wouldRank
        self.found = found
    }
}
