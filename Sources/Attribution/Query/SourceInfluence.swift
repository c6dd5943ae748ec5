import JSON

/// The influence of all sequences of one source that were scored.
public struct SourceInfluence: Sendable, Equatable, Codable {
    /// Nil for the sequences that have none; written as null.
    public var source: String?
    /// How many of them were scored.
    public var sequences: Int
    /// The sum of their scores above zero, in nats as all scores here.
    public var positive: Double
    /// The sum of their scores below zero.
    public var negative: Double

    /// Sources that a result tells apart.
    public static let limit = 50

    /// Sources that a result does not tell apart.
    public struct Others: Sendable, Equatable, Codable {
        /// How many sources they are.
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
    /// - Returns: The sources of largest magnitude, positive and negative influence counted alike, the largest first; and what is left of
    ///   them, if any is.
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
        let rest = ranked.dropFirst(limit)
        guard !rest.isEmpty else { return (ranked, nil) }
        let others = Others(
            sources: rest.count, sequences: rest.reduce(0) { $0 + $1.sequences },
            positive: rest.reduce(0) { $0 + $1.positive }, negative: rest.reduce(0) { $0 + $1.negative })
        return (Array(ranked.prefix(limit)), others)
    }
}
