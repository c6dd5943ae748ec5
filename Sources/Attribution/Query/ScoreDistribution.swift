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

/// A power law fitted to the upper tail of positive values (Clauset, Shalizi and Newman 2009, section 3).
///
/// From ``from`` on, values have the density `p(s) = (α - 1) / from · (s / from)^-α`, and the share of them above `s` is
/// `(s / from)^(1 - α)`. The exponent is `α`, as in that paper; other works call `α - 1` the exponent. The lower it is, the fewer values
/// hold most of the sum. An unbounded law with an exponent below 2 has no mean.
public struct PowerLawTail: Sendable, Equatable, Codable {
    /// The `α` of greatest likelihood: `1 + n / Σ ln(s / from)`.
    public var exponent: Double
    /// The standard error of `α`: `(α - 1) / √n`.
    public var standardError: Double
    /// The value at which the tail begins: the value, of several that are tried, from which on the law fits best.
    public var from: Double
    /// `n`, the number of values in the tail.
    public var sequences: Int
    /// The largest distance between the tail's cumulative distribution and the law's (Kolmogorov and Smirnov).
    public var distance: Double

    /// From fewer values the exponent would have a relative standard error above a seventh.
    public static let leastSequences = 50
    /// How many beginnings of the tail are tried, spaced evenly in the logarithm of the number of values in the tail.
    private static let beginnings = 60

    enum CodingKeys: String, CodingKey {
        case exponent
        case standardError = "standard_error"
        case from, sequences, distance
    }

    /// Fits the tail of some values. Values that are not positive are left out.
    ///
    /// - Returns: Nil if fewer than ``leastSequences`` values are positive, if these are all equal, or if some are not finite.
    /// - Complexity: A sort, and a few passes over the values.
    public init?(_ values: [Double]) {
        guard values.allSatisfy(\.isFinite) else { return nil }
        self.init(descendingLogarithms: values.filter { $0 > 0 }.sorted(by: >).map { log($0) })
    }

    /// - Parameter logarithms: The logarithms of the values, in descending order.
    package init?(descendingLogarithms logarithms: [Double]) {
        guard logarithms.count >= Self.leastSequences else { return nil }
        var sums = [0.0]
        sums.reserveCapacity(logarithms.count + 1)
        for value in logarithms { sums.append(sums[sums.count - 1] + value) }
        var best: PowerLawTail?
        var tried = 0
        for step in 0..<Self.beginnings {
            let share = Double(step) / Double(Self.beginnings - 1)
            let ratio = Double(logarithms.count) / Double(Self.leastSequences)
            var count = Int((Double(Self.leastSequences) * pow(ratio, share)).rounded())
            count = min(max(count, Self.leastSequences), logarithms.count)
            // All values that equal the tail's smallest belong to the tail.
            while count < logarithms.count, logarithms[count] == logarithms[count - 1] { count += 1 }
            guard count > tried else { continue }
            tried = count
            let start = logarithms[count - 1]
            let excess = sums[count] - Double(count) * start
            // The sum of differences of equal values is nothing but rounding.
            guard logarithms[0] > start, excess > 0 else { continue }
            let rate = Double(count) / excess
            let distance = Self.distance(logarithms[..<count], start: start, rate: rate, below: best?.distance)
            if let distance {
                best = PowerLawTail(
                    exponent: 1 + rate, standardError: rate / Double(count).squareRoot(), from: exp(start),
                    sequences: count, distance: distance)
            }
        }
        guard let best, best.exponent.isFinite, best.from > 0 else { return nil }
        self = best
    }

    private init(exponent: Double, standardError: Double, from: Double, sequences: Int, distance: Double) {
        self.exponent = exponent
        self.standardError = standardError
        self.from = from
        self.sequences = sequences
        self.distance = distance
    }

    /// - Parameters:
    ///   - logarithms: Those of the tail, in descending order.
    ///   - rate: `α - 1`
    ///   - limit: Only distances below this limit are of interest.
    /// - Returns: Nil if the distance is not below the limit.
    private static func distance(
        _ logarithms: ArraySlice<Double>, start: Double, rate: Double, below limit: Double?
    ) -> Double? {
        let count = Double(logarithms.count)
        let limit = limit ?? .infinity
        var largest = 0.0
        for (rank, value) in logarithms.enumerated() {
            // The share of values above this one according to the law, against the shares just above and just below this value.
            let above = exp(-rate * (value - start))
            largest = max(largest, abs(above - Double(rank) / count), abs(above - Double(rank + 1) / count))
            if largest >= limit { return nil }
        }
        return largest
    }
}
