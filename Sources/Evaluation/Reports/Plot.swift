import Foundation

/// A picture of a report.
public struct Plot: Sendable {
    public var title: String
    public var shape: Shape

    public init(title: String, shape: Shape) {
        self.title = title
        self.shape = shape
    }

    public enum Shape: Sendable {
        /// One bar per row, with its interval if it has one.
        case bars([Bar], label: String)
        /// One bar per step, each from where the one before it ended, and a last bar for the sum.
        case waterfall([Bar], label: String)
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

/// Draws a plot as self-contained SVG; the page defines its colours (`--ink`, `--faint`, `--series-0` and so on).
struct PlotDrawing {
    let plot: Plot

    private static let width = 640.0
    private static let height = 360.0
    private static let left = 64.0
    private static let bottom = 44.0
    private static let top = 12.0
    private static let right = 16.0
    private static let barHeight = 26.0
    private static let seriesColours = 6
    /// The height of a line that names a series.
    private static let keyHeight = 17.0

    var svg: String {
        switch plot.shape {
        case .bars(let bars, let label): drawn(bars, label)
        case .waterfall(let steps, let label): drawnAsWaterfall(steps, label)
        case .scatter(let series, let x, let y): drawn(series, x, y, joined: false)
        case .lines(let series, let x, let y): drawn(series, x, y, joined: true)
        }
    }

    private func picture(height: Double, description: String, _ marks: [String]) -> String {
        """
        <svg viewBox="0 0 \(number(Self.width)) \(number(height))" role="img" aria-label="\(HTMLText.escaped(description))">
        \(marks.joined(separator: "\n"))
        </svg>
        """
    }

    // MARK: Bars

    private func drawn(_ bars: [Plot.Bar], _ label: String) -> String {
        let nameWidth = 150.0
        let figureWidth = 60.0
        let scale = PlotScale(
            bars.flatMap { [$0.estimate.value, $0.estimate.low, $0.estimate.high] }, includingZero: true)
        func x(_ value: Double) -> Double {
            nameWidth + (scale.position(of: value) ?? 0) * (Self.width - nameWidth - figureWidth - Self.right)
        }
        let end = Self.top + Double(bars.count) * Self.barHeight
        var marks = scale.ticks.map { tick in
            line(x(tick), Self.top, x(tick), end, "grid")
                + text(x(tick), end + 16, PlotScale.label(tick), "middle")
        }
        for (row, bar) in bars.enumerated() {
            let y = Self.top + Double(row) * Self.barHeight
            let middle = y + Self.barHeight / 2
            let (from, to) = (min(x(0), x(bar.estimate.value)), max(x(0), x(bar.estimate.value)))
            marks.append(text(nameWidth - 8, middle + 4, bar.name, "end"))
            marks.append(
                "<rect class=\"s0\" x=\"\(number(from))\" y=\"\(number(y + 5))\" width=\"\(number(max(to - from, 0.5)))\" "
                    + "height=\"\(number(Self.barHeight - 10))\"><title>\(HTMLText.escaped(bar.name)): "
                    + "\(Figure.estimate(bar.estimate))</title></rect>")
            if bar.estimate.high > bar.estimate.low {
                marks.append(line(x(bar.estimate.low), middle, x(bar.estimate.high), middle, "whisker"))
                for end in [bar.estimate.low, bar.estimate.high] {
                    marks.append(line(x(end), middle - 4, x(end), middle + 4, "whisker"))
                }
            }
            marks.append(
                text(Self.width - Self.right, middle + 4, Self.figure(bar.estimate.value), "end"))
        }
        marks.append(line(x(0), Self.top, x(0), end, "axis"))
        marks.append(text(nameWidth, end + 34, label, "start"))
        let description =
            plot.title + ". "
            + bars.map { "\($0.name): \(Figure.estimate($0.estimate))" }.joined(separator: "; ")
        return picture(height: end + 42, description: description, marks)
    }

    /// Three digits after the point, or more where they would be zeros.
    private static func figure(_ value: Double) -> String {
        value != 0 && abs(value) < 0.01 ? PlotScale.label(value) : Figure.number(value)
    }

    private func drawnAsWaterfall(_ steps: [Plot.Bar], _ label: String) -> String {
        let nameWidth = 150.0
        let figureWidth = 60.0
        var ends = [0.0]
        for step in steps { ends.append((ends.last ?? 0) + step.estimate.value) }
        let sum = ends.last ?? 0
        let scale = PlotScale(ends, includingZero: true)
        func x(_ value: Double) -> Double {
            nameWidth + (scale.position(of: value) ?? 0) * (Self.width - nameWidth - figureWidth - Self.right)
        }
        let bottom = Self.top + Double(steps.count + 1) * Self.barHeight
        var marks = scale.ticks.map { tick in
            line(x(tick), Self.top, x(tick), bottom, "grid")
                + text(x(tick), bottom + 16, PlotScale.label(tick), "middle")
        }
        let bars =
            steps.indices.map { (steps[$0].name, ends[$0], ends[$0 + 1], steps[$0].estimate.value) } + [
                ("sum", 0, sum, sum)
            ]
        for (row, (name, start, end, value)) in bars.enumerated() {
            let y = Self.top + Double(row) * Self.barHeight
            let middle = y + Self.barHeight / 2
            let colour = row == steps.count ? "s5" : value < 0 ? "s1" : "s0"
            marks.append(text(nameWidth - 8, middle + 4, name, "end"))
            marks.append(
                "<rect class=\"\(colour)\" x=\"\(number(min(x(start), x(end))))\" y=\"\(number(y + 5))\" "
                    + "width=\"\(number(max(abs(x(end) - x(start)), 0.5)))\" height=\"\(number(Self.barHeight - 10))\">"
                    + "<title>\(HTMLText.escaped(name)): \(Self.figure(value))</title></rect>")
            if row < steps.count { marks.append(line(x(end), y + 5, x(end), y + Self.barHeight + 5, "axis")) }
            marks.append(text(Self.width - Self.right, middle + 4, Self.figure(value), "end"))
        }
        marks.append(line(x(0), Self.top, x(0), bottom, "axis"))
        marks.append(text(nameWidth, bottom + 34, label, "start"))
        let description = plot.title + ". " + bars.map { "\($0.0): \(Self.figure($0.3))" }.joined(separator: "; ")
        return picture(height: bottom + 42, description: description, marks)
    }

    // MARK: Points and lines

    private func drawn(_ series: [Plot.Series], _ x: Plot.Axis, _ y: Plot.Axis, joined: Bool) -> String {
        let points = series.flatMap(\.points)
        let across = PlotScale(points.map(\.x), isLogarithmic: x.isLogarithmic)
        let up = PlotScale(points.map(\.y), isLogarithmic: y.isLogarithmic)
        let base = Self.height - Self.bottom
        func position(_ point: (x: Double, y: Double)) -> (x: Double, y: Double)? {
            guard let h = across.position(of: point.x), let v = up.position(of: point.y) else { return nil }
            return (Self.left + h * (Self.width - Self.left - Self.right), base - v * (base - Self.top))
        }
        var marks: [String] = []
        for tick in across.ticks {
            let h = Self.left + (across.position(of: tick) ?? 0) * (Self.width - Self.left - Self.right)
            marks.append(line(h, Self.top, h, base, "grid") + text(h, base + 16, PlotScale.label(tick), "middle"))
        }
        for tick in up.ticks {
            let v = base - (up.position(of: tick) ?? 0) * (base - Self.top)
            marks.append(
                line(Self.left, v, Self.width - Self.right, v, "grid")
                    + text(Self.left - 6, v + 4, PlotScale.label(tick), "end"))
        }
        marks.append(line(Self.left, base, Self.width - Self.right, base, "axis"))
        marks.append(line(Self.left, Self.top, Self.left, base, "axis"))
        marks.append(text(Self.width - Self.right, base + 34, x.label, "end"))
        marks.append(
            "<text transform=\"translate(14 \(number(Self.top)) ) rotate(-90)\" text-anchor=\"end\">"
                + "\(HTMLText.escaped(y.label))</text>")
        for (index, own) in series.enumerated() {
            let colour = index % Self.seriesColours
            let positions = own.points.compactMap(position)
            if joined {
                let path = positions.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
                marks.append("<polyline class=\"l\(colour)\" points=\"\(path)\"/>")
            }
            if !joined || positions.count <= 40 {
                marks += positions.map {
                    "<circle class=\"s\(colour)\" cx=\"\(number($0.x))\" cy=\"\(number($0.y))\" r=\"2.5\"/>"
                }
            }
            if series.count > 1 {
                // The key is below the axis: anywhere within the plot it would cover points.
                let v = Self.height + 4 + Double(index) * Self.keyHeight
                marks.append(
                    "<circle class=\"s\(colour)\" cx=\"\(number(Self.left + 4))\" cy=\"\(number(v - 4))\" r=\"4\"/>"
                        + text(Self.left + 14, v, own.name, "start"))
            }
        }
        let names = series.map { "\($0.name), \($0.points.count) points" }.joined(separator: "; ")
        return picture(
            height: Self.height + (series.count > 1 ? Double(series.count) * Self.keyHeight : 0),
            description: "\(plot.title). \(y.label) against \(x.label): \(names)", marks)
    }

    // MARK: Marks

    private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ kind: String) -> String {
        "<line class=\"\(kind)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>"
    }

    private func text(_ x: Double, _ y: Double, _ value: String, _ anchor: String) -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">\(HTMLText.escaped(value))</text>"
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }
}
