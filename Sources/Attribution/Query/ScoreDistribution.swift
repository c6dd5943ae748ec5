import Foundation

/// How the scores of all the candidates of a query are distributed, of which a result shows only the ends.
public struct ScoreDistribution: Sendable, Equatable, Codable {
    /// How many sequences were scored.
    public var sequences: Int
    /// In nats, as all scores here.
    public var mean: Double
    public var standardDeviation: Double
    /// The ends of the histogram's bars, ascending: one more than there are bars, from the lowest score to the highest.
    public var bounds: [Double]
    /// How many scores each bar has.
    public var counts: [Int]
    /// Absent where there are too few proponents to tell.
    public var tail: Tail?

    /// The power law of the strongest proponents: above `from`, the share of scores greater than `s` falls as
    /// `(s / from) ^ -exponent`. The lower the exponent, the fewer sequences carry most of the influence.
    public struct Tail: Sendable, Equatable, Codable {
        public var exponent: Double
        /// The score at which the tail begins.
        public var from: Double
        /// How many scores are in it.
        public var sequences: Int
    }

    private static let barCount = 48
    fileprivate static let leastProponents = 40

    enum CodingKeys: String, CodingKey {
        case sequences, mean
        case standardDeviation = "standard_deviation"
        case bounds, counts, tail
    }

    /// - Returns: Nil if there are no scores, or some are not finite.
    init?(_ scores: [Double]) {
        guard let low = scores.min(), let high = scores.max(), scores.allSatisfy(\.isFinite) else { return nil }
        let count = Double(scores.count)
        let mean = scores.reduce(0, +) / count
        sequences = scores.count
        self.mean = mean
        standardDeviation = (scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
        let bars = low == high ? 1 : Self.barCount
        let width = (high - low) / Double(bars)
        bounds = (0..<bars).map { low + Double($0) * width } + [high]
        counts = [Int](repeating: 0, count: bars)
        for score in scores {
            let bar = width > 0 ? Int((score - low) / width) : 0
            counts[min(bar, bars - 1)] += 1
        }
        tail = Tail(scores)
    }
}

extension ScoreDistribution.Tail {
    /// Fits the top twentieth of the scores, of at least ten, by Hill's estimator: the reciprocal of the mean of
    /// `ln(score / from)` (Hill 1975).
    ///
    /// - Returns: Nil if there are too few proponents, or they are all alike.
    fileprivate init?(_ scores: [Double]) {
        let proponents = scores.filter { $0 > 0 }.sorted(by: >)
        guard proponents.count >= ScoreDistribution.leastProponents else { return nil }
        let count = min(max(scores.count / 20, 10), proponents.count / 2)
        let from = proponents[count]
        let logarithms = proponents.prefix(count).reduce(0) { $0 + log($1 / from) }
        guard logarithms > 0, logarithms.isFinite else { return nil }
        self.init(exponent: Double(count) / logarithms, from: from, sequences: count)
    }
}
