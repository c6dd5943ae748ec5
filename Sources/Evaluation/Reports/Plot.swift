import Foundation

/// A picture of a report.
public struct Plot: Sendable {
    public var title: String
    public var shape: Shape

    public enum Shape: Sendable {
        /// One bar per row, with its interval if it has one.
        case bars([Bar], label: String)
        case scatter([Series], x: Axis, y: Axis)
        case lines([Series], x: Axis, y: Axis)
    }

    public struct Bar: Sendable {
        public var name: String
        public var estimate: Estimate

        public init(_ name: String, _ estimate: Estimate) {
            self.name = name
            self.estimate = estimate
        }

        /// Without an interval.
        public init(_ name: String, _ value: Double) {
            self.init(name, Estimate(value: value, low: value, high: value))
        }
    }

    public struct Series: Sendable {
        public var name: String
        public var points: [(x: Double, y: Double)]

        public init(_ name: String, _ points: [(x: Double, y: Double)]) {
            self.name = name
            self.points = points
        }
    }

    public struct Axis: Sendable {
        public var label: String
        public var isLogarithmic: Bool

        public init(_ label: String, isLogarithmic: Bool = false) {
            self.label = label
            self.isLogarithmic = isLogarithmic
        }
    }
}

/// Maps the values of an axis to positions on it, from 0 to 1.
struct PlotScale {
    let low: Double
    let high: Double
    let isLogarithmic: Bool

    /// A scale that contains all values, with a small margin at its ends.
    ///
    /// - Parameter values: Values that are not finite are ignored, and so are values on a logarithmic scale that are not positive.
    init(_ values: [Double], isLogarithmic: Bool = false, includingZero: Bool = false) {
        self.isLogarithmic = isLogarithmic
        let shown = values.filter { $0.isFinite && (!isLogarithmic || $0 > 0) }.map { isLogarithmic ? log10($0) : $0 }
        var low = shown.min() ?? 0
        var high = shown.max() ?? 1
        if includingZero { (low, high) = (min(low, 0), max(high, 0)) }
        if low == high { (low, high) = (low - 0.5, high + 0.5) }
        let margin = 0.04 * (high - low)
        self.low = includingZero && low == 0 ? 0 : low - margin
        self.high = includingZero && high == 0 ? 0 : high + margin
    }

    /// `nil` for a value that the axis cannot show.
    func position(of value: Double) -> Double? {
        guard value.isFinite, !isLogarithmic || value > 0 else { return nil }
        return ((isLogarithmic ? log10(value) : value) - low) / (high - low)
    }

    /// Round values to write beside the axis.
    var ticks: [Double] {
        if isLogarithmic, high - low >= 1.5 {
            let step = max(1, Int((high - low) / 6))
            return stride(from: Int(low.rounded(.up)), through: Int(high.rounded(.down)), by: step).map {
                pow(10, Double($0))
            }
        }
        let (low, high) = isLogarithmic ? (pow(10, low), pow(10, high)) : (low, high)
        let rough = (high - low) / 5
        let power = pow(10, log10(rough).rounded(.down))
        let step = ([1, 2, 5, 10].first { $0 * power >= rough } ?? 10) * power
        return stride(from: (low / step).rounded(.up) * step, through: high, by: step).filter {
            !isLogarithmic || $0 > 0
        }
    }

    static func label(_ value: Double) -> String {
        if abs(value) < 1e-12 { return "0" }
        if abs(value) >= 1e7 || abs(value) < 0.001 { return String(format: "%.3g", value) }
        if abs(value) >= 10_000 { return Int(value.rounded()).formatted(.number.locale(Locale(identifier: "en"))) }
        return String(format: "%.4g", value)
    }
}
