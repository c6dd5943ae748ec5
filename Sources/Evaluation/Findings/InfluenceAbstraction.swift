/// How much the top sequences of queries have in common with their words, in one model.
///
/// The larger a model, the less its influential sequences share words with the query (Grosse et al. 2023, section 5.3.1).
public struct InfluenceAbstraction: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    /// Of a query's distinct tokens, how many a top sequence has as well; the mean over both.
    public var tokenOverlap: Estimate?
    /// Top sequences in another language than the most frequent one among them, told by identifiers such as "fr:Paris"; nil
    /// where identifiers do not tell.
    public var crossLingualShare: Estimate?

    enum CodingKeys: String, CodingKey {
        case subject
        case tokenOverlap = "token_overlap"
        case crossLingualShare = "cross_lingual_share"
    }

    init(subject: EvaluatedSubject, queries: [(tokens: [Int32], top: [(id: String, tokens: [Int32])])], seed: UInt64) {
        self.subject = subject
        let bootstrap = Bootstrap(seed: seed)
        tokenOverlap = bootstrap.mean(
            of: queries.filter { !$0.top.isEmpty }.map { query in
                let own = Set(query.tokens)
                let shares = query.top.map { Double(own.intersection($0.tokens).count) / Double(own.count) }
                return shares.reduce(0, +) / Double(shares.count)
            })
        crossLingualShare = bootstrap.mean(
            of: queries.compactMap { query in
                let languages = query.top.compactMap { Self.language(of: $0.id) }
                guard !languages.isEmpty else { return nil }
                let counts = Dictionary(grouping: languages) { $0 }.mapValues(\.count)
                return 1 - Double(counts.values.max() ?? 0) / Double(languages.count)
            })
    }

    /// Two letters before a colon.
    static func language(of id: String) -> String? {
        let parts = id.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, parts[0].count == 2, parts[0].allSatisfy({ $0.isASCII && $0.isLowercase }) else {
            return nil
        }
        return String(parts[0])
    }
}
