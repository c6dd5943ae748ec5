import Foundation
import LinearAlgebra

/// A power law fitted to the upper tail of positive values (Clauset, Shalizi and Newman 2009, section 3).
///
/// From ``from`` on, values have the density `p(s) = (α - 1) / from · (s / from)^-α`, and the share of them above `s` is
/// `(s / from)^(1 - α)`. Other works name `α - 1` the exponent; here and in that paper it is `α`. The lower it is, the fewer values hold most
/// of the sum: below 2 a law without end has no mean.
public struct PowerLawTail: Sendable, Equatable, Codable {
    /// `α`, of the greatest likelihood: `1 + n / Σ ln(s / from)`.
    public var exponent: Double
    /// The standard error of `α`: `(α - 1) / √n`.
    public var standardError: Double
    /// The value at which the tail begins: of those tried, that from which on the law fits best.
    public var from: Double
    /// `n`, how many values are in the tail.
    public var sequences: Int
    /// The largest distance between the tail's cumulative distribution and the law's (Kolmogorov and Smirnov).
    public var distance: Double

    /// From fewer values the exponent is told to no better than a seventh.
    public static let leastSequences = 50
    /// How many beginnings of the tail are tried, spaced evenly in the logarithm of what they leave in it.
    private static let beginnings = 60

    enum CodingKeys: String, CodingKey {
        case exponent
        case standardError = "standard_error"
        case from, sequences, distance
    }

    /// Fits the tail of some values; those that are not positive are left out.
    ///
    /// - Returns: Nil if fewer than ``leastSequences`` are positive, or those are all alike, or some are not finite.
    /// - Complexity: A sort, and a few passes over the values.
    public init?(_ values: [Double]) {
        guard values.allSatisfy(\.isFinite) else { return nil }
        self.init(descendingLogarithms: values.filter { $0 > 0 }.sorted(by: >).map { log($0) })
    }

    /// - Parameter logarithms: Of the values, from the largest on.
    private init?(descendingLogarithms logarithms: [Double]) {
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
            // All that equal the first of the tail are in it.
            while count < logarithms.count, logarithms[count] == logarithms[count - 1] { count += 1 }
            guard count > tried else { continue }
            tried = count
            let start = logarithms[count - 1]
            let excess = sums[count] - Double(count) * start
            // Of equal values the sum of differences is nothing but rounding.
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
    ///   - logarithms: The tail's, from the largest on.
    ///   - rate: `α - 1`
    ///   - limit: What is not below that is of no interest.
    /// - Returns: Nil if it is not below the limit.
    private static func distance(
        _ logarithms: ArraySlice<Double>, start: Double, rate: Double, below limit: Double?
    ) -> Double? {
        let count = Double(logarithms.count)
        let limit = limit ?? .infinity
        var largest = 0.0
        for (rank, value) in logarithms.enumerated() {
            // The share of values that are greater, by the law, and by what there is of them on either side of this one.
            let above = exp(-rate * (value - start))
            largest = max(largest, abs(above - Double(rank) / count), abs(above - Double(rank + 1) / count))
            if largest >= limit { return nil }
        }
        return largest
    }
}

extension PowerLawTail {
    /// How well the law describes the tail (Clauset et al. 2009, section 4): the share of samples, drawn from the law above ``from`` and
    /// from the values themselves below, that are farther from their own fits than these values are from theirs. Where it is at most 0.1
    /// the law is not credible; of `samples` samples it has a standard error of at most `1 / (2 √samples)`.
    ///
    /// - Parameters:
    ///   - values: Those that the tail was fitted to.
    ///   - samples: How many are drawn, each as long as the values.
    ///   - seed: The same seed gives the same share.
    /// - Returns: From 0 to 1; nil if `samples` is not positive.
    /// - Complexity: As many fits as there are samples.
    public func goodnessOfFit(of values: [Double], samples: Int = 1_000, seed: UInt64 = 0) -> Double? {
        let logarithms = values.filter { $0 > 0 }.map { log($0) }
        let start = log(from)
        let body = logarithms.filter { $0 < start }
        guard samples > 0, !logarithms.isEmpty else { return nil }
        let inTail = Double(logarithms.count - body.count) / Double(logarithms.count)
        var random = SplitMix64(seed: seed)
        var farther = 0
        for _ in 0..<samples {
            let sample = logarithms.map { _ -> Double in
                let isOfTail = body.isEmpty || Double.random(in: 0..<1, using: &random) < inTail
                guard isOfTail else { return body[Int.random(in: body.indices, using: &random)] }
                return start - log(1 - Double.random(in: 0..<1, using: &random)) / (exponent - 1)
            }
            // A sample without a fit is farther from one than any.
            let fit = PowerLawTail(descendingLogarithms: sample.sorted(by: >))
            if (fit?.distance ?? .infinity) >= distance { farther += 1 }
        }
        return Double(farther) / Double(samples)
    }
}
