/// Correlations of two lists of scores of the same items.
public enum Correlation {
    /// Pearson's correlation of the values; `nil` if there are fewer than two, or one list does not vary.
    public static func pearson(_ left: [Double], _ right: [Double]) -> Double? {
        guard left.count == right.count, left.count > 1 else { return nil }
        let count = Double(left.count)
        let meanLeft = left.reduce(0, +) / count
        let meanRight = right.reduce(0, +) / count
        var (product, squaresLeft, squaresRight) = (0.0, 0.0, 0.0)
        for (a, b) in zip(left, right) {
            product += (a - meanLeft) * (b - meanRight)
            squaresLeft += (a - meanLeft) * (a - meanLeft)
            squaresRight += (b - meanRight) * (b - meanRight)
        }
        let scale = (squaresLeft * squaresRight).squareRoot()
        return scale > 0 && scale.isFinite ? product / scale : nil
    }

    /// Spearman's correlation, of the ranks; equal values share the mean of their ranks.
    public static func spearman(_ left: [Double], _ right: [Double]) -> Double? {
        pearson(ranks(left), ranks(right))
    }

    /// The rank of each value, from 1 for the lowest.
    public static func ranks(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
            for position in start..<end { ranks[order[position]] = Double(start + end + 1) / 2 }
            start = end
        }
        return ranks
    }
}

/// Correlations of two scores of the same sequences, or of other items, query by query.
struct QueryCorrelations {
    private let left: [[Double]]
    private let right: [[Double]]

    /// Each list has one row per query and one column per sequence; rows can differ in length.
    init(of left: [[Double]], with right: [[Double]]) {
        self.left = left
        self.right = right
    }

    /// Each query's correlation; `nil` if one of the scores does not vary.
    func each(by correlation: ([Double], [Double]) -> Double?) -> [Double?] {
        zip(left, right).map { correlation($0, $1) }
    }

    /// The mean over queries, with its bootstrap interval over queries and sequences. Queries without a correlation do not count.
    func mean(by correlation: ([Double], [Double]) -> Double?, _ bootstrap: Bootstrap) -> Estimate? {
        bootstrap.estimate(over: left.count, sequences) { mean(of: $0, over: $1, by: correlation) }
    }

    /// The mean over queries, with its bootstrap interval over sequences only: it holds for these very queries.
    func meanOfTheseQueries(by correlation: ([Double], [Double]) -> Double?, _ bootstrap: Bootstrap) -> Estimate? {
        bootstrap.estimate(over: sequences) { mean(of: Array(left.indices), over: $0, by: correlation) }
    }

    /// How far the mean is above that of other scores of the same queries and sequences, with its bootstrap interval.
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
