/// How alike the estimators rank, and what each takes.
public struct EstimatorReport: Sendable, Codable, Equatable {
    public var model: String
    public var modelDigest: String
    public var corpusDigest: String
    public var corpusSequences: Int
    public var settings: EstimatorSettings
    public var queries: [Query]
    public var estimators: [Estimator]
    /// Pearson's correlation of the scores of a query's candidates, the mean over queries: a row and a column an estimator, in
    /// their order. Null where an estimator's scores do not vary.
    public var pearson: [[Double?]]
    /// The same of ranks (Spearman).
    public var spearman: [[Double?]]

    public struct Query: Sendable, Codable, Equatable {
        public var prompt: String
        public var completion: String
        public var candidates: Int
    }

    public struct Estimator: Sendable, Codable, Equatable {
        public var name: EstimatorKind
        /// Once for all queries, beside the fit of the factors.
        public var setupSeconds: Double
        /// For each query, from its gradient to what its candidates are scored with.
        public var secondsPerQuery: Double
        /// Held for all queries, and for each query under way.
        public var bytes: Int
        /// Means over queries, for those that iterate.
        public var iterations: Double?
        public var sequences: Double?
        public var residual: Double?

        enum CodingKeys: String, CodingKey {
            case name
            case setupSeconds = "setup_seconds"
            case secondsPerQuery = "seconds_per_query"
            case bytes, iterations, sequences, residual
        }
    }

    enum CodingKeys: String, CodingKey {
        case model
        case modelDigest = "model_digest"
        case corpusDigest = "corpus_digest"
        case corpusSequences = "corpus_sequences"
        case settings, queries, estimators, pearson, spearman
    }

    /// Correlations of all pairs of estimators, the mean over queries.
    ///
    /// - Parameter scores: For each query, each estimator's scores of its candidates.
    static func correlations(
        _ scores: [[[Double]]], by correlation: ([Double], [Double]) -> Double?
    ) -> [[Double?]] {
        let count = scores.first?.count ?? 0
        return (0..<count).map { left in
            (0..<count).map { right in
                let found = scores.compactMap { correlation($0[left], $0[right]) }
                return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
            }
        }
    }
}

/// Why an evaluation was not made.
public enum EvaluationError: Error, Equatable, CustomStringConvertible {
    case tooFewSequences(found: Int)
    case unusableQuery(prompt: String, reason: String)
    /// An estimator would take longer than was allowed.
    case tooLong(estimator: EstimatorKind, seconds: Double, bytes: Int, limit: Double)
    case cancelled

    public var description: String {
        switch self {
        case .tooFewSequences(let found):
            "the corpus has \(found) sequences: estimators are compared on at least 10"
        case .unusableQuery(let prompt, let reason): "the query \"\(prompt)\": \(reason)"
        case .tooLong(let estimator, let seconds, let bytes, let limit):
            "\(estimator.rawValue) would take about \(Int((seconds / 60).rounded(.up))) minutes and \(bytes / 1_000_000) MB on this "
                + "model; without being told to go on, an estimator may take \(Int(limit / 60)) minutes. Leave it out, ask "
                + "fewer queries, or go on with --anyway."
        case .cancelled: "the evaluation was interrupted"
        }
    }
}
