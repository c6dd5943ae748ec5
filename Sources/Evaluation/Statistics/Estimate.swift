/// A figure with its interval, within which it lies with 95 % confidence.
public struct Estimate: Sendable, Codable, Equatable {
    public var value: Double
    public var low: Double
    public var high: Double

    public init(value: Double, low: Double, high: Double) {
        self.value = value
        self.low = low
        self.high = high
    }

    /// Whether two intervals have a point in common.
    public func overlaps(_ other: Estimate) -> Bool { low <= other.high && other.low <= high }
}
