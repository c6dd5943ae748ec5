/// By how much something changed each query's log-probability, in nats; positive: the completion became likelier.
public struct QueryChanges: Sendable, Codable, Equatable {
    /// Of what changed it, such as the estimator that chose the sequences.
    public var name: String
    /// One a query.
    public var changes: [Double]
    /// The mean, its interval over queries drawn anew.
    public var mean: Estimate?

    init(name: String, changes: [Double], seed: UInt64) {
        self.name = name
        self.changes = changes
        mean = Bootstrap(seed: seed).mean(of: changes)
    }
}
