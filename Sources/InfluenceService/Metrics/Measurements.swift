import Synchronization

/// All measurements of one name at one moment.
struct MetricFamily: Sendable, Equatable {
    enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// One measurement: a line of text.
    struct Sample: Sendable, Equatable {
        /// The suffix of the family's name: `_bucket`, `_sum` and `_count` of a histogram.
        var suffix = ""
        var labels: [Label] = []
        var value: Double
    }

    struct Label: Sendable, Equatable {
        var name: String
        var value: String
    }

    /// The name, with its unit as the last part, followed by `_total` for a counter.
    var name: String
    var help: String
    var kind: Kind
    var samples: [Sample]
}

extension MetricFamily {
    /// A measurement that is taken whenever a client requests the measurements.
    static func gauge(_ name: String, _ help: String, value: Double) -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .gauge, samples: [Sample(value: value)])
    }

    static func gauge(
        _ name: String, _ help: String, by label: String, values: [(label: String, value: Double)]
    ) -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .gauge,
            samples: values.map { Sample(labels: [Label(name: label, value: $0.label)], value: $0.value) })
    }

    /// A count that is kept elsewhere.
    static func counter(_ name: String, _ help: String, value: Double) -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .counter, samples: [Sample(value: value)])
    }
}

/// The text format of Prometheus, version 0.0.4.
enum PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// One block of lines per family. Families without measurements are left out.
    static func text(_ families: [MetricFamily]) -> String {
        families.filter { !$0.samples.isEmpty }.map(block).joined()
    }

    private static func block(_ family: MetricFamily) -> String {
        var lines = "# HELP \(family.name) \(escaped(family.help, quotes: false))\n"
        lines += "# TYPE \(family.name) \(family.kind.rawValue)\n"
        for sample in family.samples {
            let labels = sample.labels.map { "\($0.name)=\"\(escaped($0.value, quotes: true))\"" }
            let list = labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}"
            lines += "\(family.name)\(sample.suffix)\(list) \(number(sample.value))\n"
        }
        return lines
    }

    /// Text that ends neither a line nor a quoted value.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A number that is read back as the same value; whole numbers have no fraction.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int64(exactly: value).map(String.init) ?? String(value)
    }
}

/// Adds up amounts, separately for each combination of its labels' values.
///
/// Labels must have few values: each combination is kept for as long as the process lives.
final class Counter: Sendable {
    private let head: MetricFamily
    private let labels: [String]
    private let totals: Mutex<[[String]: Double]>

    /// - Parameter labels: The labels' names. Without labels, the count is shown even while it is 0.
    init(_ name: String, _ help: String, by labels: String...) {
        head = MetricFamily(name: name, help: help, kind: .counter, samples: [])
        self.labels = labels
        totals = Mutex(labels.isEmpty ? [[]: 0] : [:])
    }

    /// - Parameter values: One per label.
    func add(_ amount: Double = 1, _ values: String...) {
        totals.withLock { $0[values, default: 0] += amount }
    }

    var family: MetricFamily {
        var family = head
        family.samples = totals.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map {
            MetricFamily.Sample(labels: zip(labels, $0.key).map(MetricFamily.Label.init), value: $0.value)
        }
        return family
    }
}

/// Counts amounts by their size, separately for each combination of its labels' values.
///
/// Labels must have few values: each combination is kept for as long as the process lives.
final class Histogram: Sendable {
    private let head: MetricFamily
    private let labels: [String]
    /// The largest amount of each bucket, ascending; a last bucket has all larger amounts.
    private let bounds: [Double]
    private let distributions = Mutex<[[String]: Distribution]>([:])

    private struct Distribution {
        /// The amounts of each bucket itself: one per bound, and one for larger amounts.
        var counts: [Int]
        var sum = 0.0
    }

    init(_ name: String, _ help: String, bounds: [Double], by labels: String...) {
        head = MetricFamily(name: name, help: help, kind: .histogram, samples: [])
        self.labels = labels
        self.bounds = bounds
        if labels.isEmpty {
            distributions.withLock { $0[[]] = Distribution(counts: Array(repeating: 0, count: bounds.count + 1)) }
        }
    }

    func record(_ amount: Double, _ values: String...) {
        let bucket = bounds.firstIndex { amount <= $0 } ?? bounds.count
        let empty = Distribution(counts: Array(repeating: 0, count: bounds.count + 1))
        distributions.withLock { distributions in
            distributions[values, default: empty].counts[bucket] += 1
            distributions[values, default: empty].sum += amount
        }
    }

    var family: MetricFamily {
        var family = head
        family.samples = distributions.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }.flatMap(
            samples)
        return family
    }

    /// Cumulative counts: each bucket includes the ones below it.
    private func samples(_ values: [String], _ distribution: Distribution) -> [MetricFamily.Sample] {
        let labels = zip(labels, values).map(MetricFamily.Label.init)
        var samples: [MetricFamily.Sample] = []
        var total = 0
        for (bound, count) in zip(bounds + [.infinity], distribution.counts) {
            total += count
            let limit = MetricFamily.Label(name: "le", value: PrometheusText.number(bound))
            samples.append(MetricFamily.Sample(suffix: "_bucket", labels: labels + [limit], value: Double(total)))
        }
        samples.append(MetricFamily.Sample(suffix: "_sum", labels: labels, value: distribution.sum))
        samples.append(MetricFamily.Sample(suffix: "_count", labels: labels, value: Double(total)))
        return samples
    }
}
