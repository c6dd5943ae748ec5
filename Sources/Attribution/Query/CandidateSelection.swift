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
