/// A picture of a report.
public struct Plot: Sendable {
    public var title: String
    public var shape: Shape

    public init(_ title: String, _ shape: Shape) {
        self.title = title
        self.shape = shape
    }

    public enum Shape: Sendable {
        /// A bar a row, with its interval where it has one.
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
