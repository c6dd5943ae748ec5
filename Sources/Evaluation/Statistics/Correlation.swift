/// Correlations of two lists of scores of the same things.
public enum Correlation {
    /// Pearson's: of the values. Nil where there are fewer than two, or one list does not vary.
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

    /// Spearman's: of the ranks, equal values having the mean of theirs.
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
            for place in start..<end { ranks[order[place]] = Double(start + end + 1) / 2 }
            start = end
        }
        return ranks
    }
}
