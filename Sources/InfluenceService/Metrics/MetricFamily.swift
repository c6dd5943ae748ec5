/// All measurements of one name, as they are at one moment.
struct MetricFamily: Sendable, Equatable {
    enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// One measurement: a line of the text.
    struct Sample: Sendable, Equatable {
        /// What follows the family's name: `_bucket`, `_sum` and `_count` of a histogram.
        var suffix = ""
        var labels: [Label] = []
        var value: Double
    }

    struct Label: Sendable, Equatable {
        var name: String
        var value: String
    }

    /// With its unit as the last part, and `_total` after it for a counter.
    var name: String
    var help: String
    var kind: Kind
    var samples: [Sample]
}

extension MetricFamily {
    /// A measurement that is taken as it is asked for.
    static func gauge(_ name: String, _ help: String, _ value: Double) -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .gauge, samples: [Sample(value: value)])
    }

    /// Measurements that one label tells apart.
    static func gauge(
        _ name: String, _ help: String, by label: String, _ values: [(label: String, value: Double)]
    ) -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .gauge,
            samples: values.map { Sample(labels: [Label(name: label, value: $0.label)], value: $0.value) })
    }

    /// A count that is kept elsewhere.
    static func counter(_ name: String, _ help: String, _ value: Double) -> MetricFamily {
        MetricFamily(name: name, help: help, kind: .counter, samples: [Sample(value: value)])
    }
}

/// Measurements as Prometheus reads them: the text format, version 0.0.4.
enum PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// A block of lines a family. Families without measurements are left out.
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

    /// Text in which neither a line nor a quoted value ends early.
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

    /// A number that reads back as the same one; whole ones without a fraction.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int64(exactly: value).map(String.init) ?? String(value)
    }
}
