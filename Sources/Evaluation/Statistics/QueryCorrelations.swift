/// Correlations of two scores of the same sequences, query by query.
struct QueryCorrelations {
    private let left: [[Double]]
    private let right: [[Double]]

    /// - Parameters: A row a query, a column a sequence; each row may have columns of its own number.
    init(of left: [[Double]], with right: [[Double]]) {
        self.left = left
        self.right = right
    }

    /// Of each query; nil where one of the scores does not vary.
    func each(by correlation: ([Double], [Double]) -> Double?) -> [Double?] {
        zip(left, right).map { correlation($0, $1) }
    }

    /// The mean over queries, with its interval over queries and sequences drawn anew. Queries without a correlation do not count.
    func mean(by correlation: ([Double], [Double]) -> Double?, _ bootstrap: Bootstrap) -> Estimate? {
        bootstrap.estimate(over: left.count, sequences) { mean(of: $0, over: $1, by: correlation) }
    }

    /// By how much the mean is above that of other scores of the same queries and sequences, both drawn anew.
    func difference(
        from other: QueryCorrelations, by correlation: ([Double], [Double]) -> Double?, _ bootstrap: Bootstrap
    ) -> Estimate? {
        bootstrap.estimate(over: left.count, sequences) { queries, drawn in
            guard let own = mean(of: queries, over: drawn, by: correlation),
                let base = other.mean(of: queries, over: drawn, by: correlation)
            else { return nil }
            return own - base
        }
    }

    private var sequences: Int { left.map(\.count).max() ?? 0 }

    private func mean(
        of queries: [Int], over drawn: [Int], by correlation: ([Double], [Double]) -> Double?
    ) -> Double? {
        var known: [Int: Double?] = [:]
        let found = queries.compactMap { query -> Double? in
            if let value = known[query] { return value }
            let columns = drawn.filter { $0 < left[query].count }
            let value = correlation(columns.map { left[query][$0] }, columns.map { right[query][$0] })
            known[query] = value
            return value
        }
        return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
    }
}
