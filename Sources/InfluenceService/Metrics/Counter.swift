import Synchronization

/// Adds up amounts, apart for each combination of its labels' values.
///
/// Label values must be few: each combination is kept as long as the process lives.
final class Counter: Sendable {
    private let name: String
    private let help: String
    private let labels: [String]
    private let totals: Mutex<[[String]: Double]>

    /// - Parameter labels: The labels' names. Without any, the count is shown from 0 on.
    init(_ name: String, _ help: String, by labels: String...) {
        self.name = name
        self.help = help
        self.labels = labels
        totals = Mutex(labels.isEmpty ? [[]: 0] : [:])
    }

    /// - Parameters:
    ///   - amount: Not negative.
    ///   - values: One a label.
    func add(_ amount: Double = 1, _ values: String...) {
        totals.withLock { $0[values, default: 0] += amount }
    }

    var family: MetricFamily {
        let totals = totals.withLock { $0 }
        return MetricFamily(
            name: name, help: help, kind: .counter,
            samples: totals.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { values, total in
                MetricFamily.Sample(labels: MetricFamily.Label.list(labels, values), value: total)
            })
    }
}

extension MetricFamily.Label {
    static func list(_ names: [String], _ values: [String]) -> [MetricFamily.Label] {
        zip(names, values).map { MetricFamily.Label(name: $0, value: $1) }
    }
}
