import LinearAlgebra

/// Intervals of figures by the percentile bootstrap (Efron 1979): the figure is computed again on samples drawn with replacement.
public struct Bootstrap: Sendable {
    public var draws = 2_000
    public var seed: UInt64 = 0

    /// The mean of some values with its interval; `nil` for no values.
    public func mean(of values: [Double]) -> Estimate? {
        estimate(over: values.count) { sample in
            sample.isEmpty ? nil : sample.reduce(0) { $0 + values[$1] } / Double(sample.count)
        }
    }

    /// A figure of items that are drawn independently.
    ///
    /// - Parameter figure: Computes the figure of the items at some indices, which can repeat; `nil` if it has no value for them.
    /// - Returns: `nil` if the figure of all items has no value.
    public func estimate(over count: Int, _ figure: ([Int]) -> Double?) -> Estimate? {
        var generator = SplitMix64(seed: seed)
        return estimate(figure(Array(0..<count))) { figure(Self.draw(count, &generator)) }
    }

    /// A figure of two kinds of items, each drawn independently, such as queries and the subsets that models were trained on.
    public func estimate(over first: Int, _ second: Int, _ figure: ([Int], [Int]) -> Double?) -> Estimate? {
        var generator = SplitMix64(seed: seed)
        return estimate(figure(Array(0..<first), Array(0..<second))) {
            figure(Self.draw(first, &generator), Self.draw(second, &generator))
        }
    }

    private func estimate(_ value: Double?, _ redraw: () -> Double?) -> Estimate? {
        guard let value else { return nil }
        let found = (0..<draws).compactMap { _ in redraw() }.sorted()
        guard let first = found.first, let last = found.last else {
            return Estimate(value: value, low: value, high: value)
        }
        let tail = Int((Double(found.count) * 0.025).rounded(.down))
        return Estimate(
            value: value, low: found.count > 2 * tail ? found[tail] : first,
            high: found.count > 2 * tail ? found[found.count - 1 - tail] : last)
    }

    private static func draw(_ count: Int, _ generator: inout SplitMix64) -> [Int] {
        (0..<count).map { _ in Int.random(in: 0..<count, using: &generator) }
    }
}

/// A figure with its interval, within which it lies with 95 % confidence.
public struct Estimate: Sendable, Codable, Equatable {
    public var value: Double
    public var low: Double
    public var high: Double

    /// Whether two intervals have a point in common.
    public func overlaps(_ other: Estimate) -> Bool { low <= other.high && other.low <= high }
}

/// The change of each query's log-probability, in nats; positive: the completion became likelier.
public struct QueryChanges: Sendable, Codable, Equatable {
    /// The cause of the changes, such as the estimator that chose the sequences.
    public var name: String
    /// One per query.
    public var changes: [Double]
    /// The mean, with its bootstrap interval over queries.
    public var mean: Estimate?

    init(name: String, changes: [Double], seed: UInt64) {
        self.name = name
        self.changes = changes
        mean = Bootstrap(seed: seed).mean(of: changes)
    }
}
