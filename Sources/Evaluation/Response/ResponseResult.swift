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
        /// By how much Pearson's and Spearman's correlation is above that of EK-FAC, drawn on the same queries and sequences.
        public var pearsonAboveEKFAC: Estimate?
        public var spearmanAboveEKFAC: Estimate?
        /// Of each query.
        public var pearsonPerQuery: [Double?]
        public var spearmanPerQuery: [Double?]
        public var cost: EstimatorCost?
        /// A row a query, a column a sequence.
        public var scores: [[Double]]

        enum CodingKeys: String, CodingKey {
            case name, pearson, spearman
            case pearsonAboveEKFAC = "pearson_above_ekfac"
            case spearmanAboveEKFAC = "spearman_above_ekfac"
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
    /// Estimators' scores beside the responses, and beside EK-FAC's where that is among them.
    ///
    /// - Parameters:
    ///   - scores: A row a query, a column a sequence, as in `responses`.
    ///   - seed: Of the bootstrap.
    static func compared(
        _ found: [(name: EstimatorKind, scores: [[Double]], cost: EstimatorCost?)], with responses: [[Double]],
        seed: UInt64
    ) -> [ResponseResult.Estimator] {
        let bootstrap = Bootstrap(draws: 1_000, seed: seed)
        let ekfac = found.first { $0.name == .ekfac }.map { QueryCorrelations(of: $0.scores, with: responses) }
        return found.map { own in
            let agreement = QueryCorrelations(of: own.scores, with: responses)
            let base = own.name == .ekfac ? nil : ekfac
            return ResponseResult.Estimator(
                name: own.name, pearson: agreement.mean(by: Correlation.pearson, bootstrap),
                spearman: agreement.mean(by: Correlation.spearman, bootstrap),
                pearsonAboveEKFAC: base.flatMap { agreement.difference(from: $0, by: Correlation.pearson, bootstrap) },
                spearmanAboveEKFAC: base.flatMap {
                    agreement.difference(from: $0, by: Correlation.spearman, bootstrap)
                }, pearsonPerQuery: agreement.each(by: Correlation.pearson),
                spearmanPerQuery: agreement.each(by: Correlation.spearman), cost: own.cost, scores: own.scores)
        }
    }
}
