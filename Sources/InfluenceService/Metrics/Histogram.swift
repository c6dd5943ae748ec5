import Synchronization

/// Counts amounts by their size, apart for each combination of its labels' values.
///
/// Label values must be few: each combination is kept as long as the process lives.
final class Histogram: Sendable {
    private let name: String
    private let help: String
    private let labels: [String]
    /// The largest amount of each bucket, ascending; a last bucket takes what is larger than all.
    private let bounds: [Double]
    private let distributions = Mutex<[[String]: Distribution]>([:])

    private struct Distribution {
        /// One a bound, and one for the rest: amounts of the bucket itself.
        var counts: [Int]
        var sum = 0.0
    }

    init(_ name: String, _ help: String, bounds: [Double], by labels: String...) {
        self.name = name
        self.help = help
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
        let distributions = distributions.withLock { $0 }
        let samples = distributions.sorted { $0.key.lexicographicallyPrecedes($1.key) }.flatMap(samples)
        return MetricFamily(name: name, help: help, kind: .histogram, samples: samples)
    }

    /// Cumulative counts: each bucket has those below it, too.
    private func samples(_ values: [String], _ distribution: Distribution) -> [MetricFamily.Sample] {
        let labels = MetricFamily.Label.list(labels, values)
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
