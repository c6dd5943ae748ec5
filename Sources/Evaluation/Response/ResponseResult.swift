import Curvature

/// How well each estimator's scores agree with the proximal Bregman response.
public struct ResponseResult: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: ResponseComparison.Settings
    public var queries: [EvaluationQuery]
    /// Of this run: what was taken up from earlier ones is not counted.
    public var seconds: Double
    /// Identifiers of the sequences whose response was found.
    public var sequences: [String]
    /// `(f(θ(ε)) - f(θ_base)) / ε`, in nats: a row a query, a column a sequence.
    public var responses: [[Double]]
    /// ``ProximalBregmanResponse/Response/residual`` of each sequence.
    public var residuals: [Double]
    /// On one thread.
    public var secondsPerResponse: Double
    public var estimators: [Estimator]

    public struct Estimator: Sendable, Codable, Equatable {
        public var name: EstimatorKind
        /// Correlations over the sequences, the mean over queries, the intervals over queries and sequences drawn anew.
        public var pearson: Estimate?
        public var spearman: Estimate?
        /// Of each query.
        public var pearsonPerQuery: [Double?]
        public var spearmanPerQuery: [Double?]
        public var cost: EstimatorCost?
        /// A row a query, a column a sequence.
        public var scores: [[Double]]

        enum CodingKeys: String, CodingKey {
            case name, pearson, spearman
            case pearsonPerQuery = "pearson_per_query"
            case spearmanPerQuery = "spearman_per_query"
            case cost, scores
        }
    }

    enum CodingKeys: String, CodingKey {
        case subject, settings, queries, seconds, sequences, responses, residuals
        case secondsPerResponse = "seconds_per_response"
        case estimators
    }
}

extension ResponseResult.Estimator {
    init(name: EstimatorKind, scores: [[Double]], responses: [[Double]], cost: EstimatorCost?, seed: UInt64) {
        let agreement = QueryCorrelations(of: scores, with: responses)
        let bootstrap = Bootstrap(draws: 1_000, seed: seed)
        self.init(
            name: name, pearson: agreement.mean(by: Correlation.pearson, bootstrap),
            spearman: agreement.mean(by: Correlation.spearman, bootstrap),
            pearsonPerQuery: agreement.each(by: Correlation.pearson),
            spearmanPerQuery: agreement.each(by: Correlation.spearman), cost: cost, scores: scores)
    }
}
