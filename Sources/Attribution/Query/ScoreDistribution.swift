import Foundation
import Limits

/// The distribution of the scores of all the candidates of a query, of which a result otherwise shows only the ends.
public struct ScoreDistribution: Sendable, Equatable, Codable {
    /// How many sequences were scored.
    public var sequences: Int
    /// In nats, as all scores here.
    public var mean: Double
    public var standardDeviation: Double
    /// The bounds of the histogram's bars, ascending from the lowest score to the highest: one more than there are bars.
    public var bounds: [Double]
    /// The number of scores in each bar.
    public var counts: [Int]
    /// The power law of the strongest proponents; absent if there are too few, and in results of earlier versions.
    public var powerLaw: PowerLawTail?
    /// The share of positive influence that the strongest sequences hold, for several numbers of these, the smallest first. Empty if there
    /// is no positive influence, and absent in results of earlier versions.
    public var shares: [Share]?

    /// The share of all positive influence that the strongest sequences hold.
    public struct Share: Sendable, Equatable, Codable {
        /// These sequences as a fraction of all that were scored: 0.01 for the top hundredth.
        public var part: Double
        /// The number of these sequences.
        public var sequences: Int
        /// Their fraction of the sum of all scores above zero.
        public var share: Double
    }

    private static let barCount = 48
    /// The divisors of the fractions that are reported. Fractions of less than one sequence are left out.
    private static let parts = [10_000, 1_000, 100, 10]

    enum CodingKeys: String, CodingKey {
        case sequences, mean
        case standardDeviation = "standard_deviation"
        case bounds, counts
        case powerLaw = "power_law"
        case shares
    }

    /// - Returns: Nil if there are no scores, or if some are not finite.
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
