import Foundation

/// Maps the values of an axis to places on it, from 0 to 1.
struct PlotScale {
    let low: Double
    let high: Double
    let isLogarithmic: Bool

    /// A scale that holds all values, with a little room at its ends.
    ///
    /// - Parameter values: Those that are not finite, and on a logarithmic scale those that are not positive, are passed over.
    init(_ values: [Double], isLogarithmic: Bool = false, includingZero: Bool = false) {
        self.isLogarithmic = isLogarithmic
        let shown = values.filter { $0.isFinite && (!isLogarithmic || $0 > 0) }.map { isLogarithmic ? log10($0) : $0 }
        var low = shown.min() ?? 0
        var high = shown.max() ?? 1
        if includingZero { (low, high) = (min(low, 0), max(high, 0)) }
        if low == high { (low, high) = (low - 0.5, high + 0.5) }
        let room = 0.04 * (high - low)
        self.low = includingZero && low == 0 ? 0 : low - room
        self.high = includingZero && high == 0 ? 0 : high + room
    }

    /// Nil for what the axis cannot show.
    func place(of value: Double) -> Double? {
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
