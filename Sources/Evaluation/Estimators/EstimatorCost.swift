/// What an estimator took.
public struct EstimatorCost: Sendable, Codable, Equatable {
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
