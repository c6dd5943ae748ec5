import Limits

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
    /// The power law of the strongest proponents; absent where there are too few to tell, and in results of earlier versions.
    public var powerLaw: PowerLawTail?
    /// How much of the positive influence the strongest sequences hold, from the smallest part on; empty where there is none, and absent in
    /// results of earlier versions.
    public var shares: [Share]?

    /// What the strongest sequences hold of all positive influence.
    public struct Share: Sendable, Equatable, Codable {
        /// The part of what was scored that they are: 0.01 for the top hundredth.
        public var part: Double
        /// How many they are.
        public var sequences: Int
        /// Their part of the sum of all scores above zero.
        public var share: Double
    }

    private static let barCount = 48
    /// The ten-thousandth, the thousandth, the hundredth and the tenth; a part that is not one whole sequence is left out.
    private static let parts = [10_000, 1_000, 100, 10]

    enum CodingKeys: String, CodingKey {
        case sequences, mean
        case standardDeviation = "standard_deviation"
        case bounds, counts
        case powerLaw = "power_law"
        case shares
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
            let bar = width > 0 ? Int(saturating: (score - low) / width) : 0
            counts[min(bar, bars - 1)] += 1
        }
        powerLaw = PowerLawTail(scores)
        shares = Self.shares(of: scores)
    }

    private static func shares(of scores: [Double]) -> [Share] {
        let positive = scores.filter { $0 > 0 }.sorted(by: >)
        let total = positive.reduce(0, +)
        guard total > 0 else { return [] }
        return parts.compactMap { part in
            let count = scores.count / part
            guard count > 0 else { return nil }
            return Share(
                part: 1 / Double(part), sequences: count, share: positive.prefix(count).reduce(0, +) / total)
        }
    }
}
