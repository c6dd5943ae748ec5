import Evaluation
import Foundation

/// A comparison of estimators for people: what each takes, and how alike they rank.
struct EstimatorTable {
    let report: EstimatorReport

    var text: String {
        (costs + [""] + correlations("Pearson's correlation of scores", report.pearson) + [""]
            + correlations("Spearman's correlation of ranks", report.spearman)).joined(separator: "\n")
    }

    private var nameWidth: Int { report.estimators.map(\.name.rawValue.count).max() ?? 0 }

    private var costs: [String] {
        let candidates = report.queries.map(\.candidates).max() ?? 0
        var lines = [
            "\(report.model): \(report.queries.count) queries, \(candidates) candidates each, \(report.corpusSequences) sequences",
            "",
            row(
                "", ["setup s", "s a query", "MB", "iterations", "sequences", "residual"], width: Self.costWidth),
        ]
        for estimator in report.estimators {
            lines.append(
                row(
                    estimator.name.rawValue,
                    [
                        String(format: "%.2f", estimator.setupSeconds),
                        String(format: "%.3f", estimator.secondsPerQuery),
                        String(format: "%.1f", Double(estimator.bytes) / 1e6), number(estimator.iterations, "%.0f"),
                        number(estimator.sequences, "%.0f"), number(estimator.residual, "%.3f"),
                    ], width: Self.costWidth))
        }
        return lines
    }

    private func correlations(_ title: String, _ values: [[Double?]]) -> [String] {
        let names = report.estimators.map { Self.short[$0.name] ?? $0.name.rawValue }
        var lines = [title + ", mean over queries", row("", names, width: Self.correlationWidth)]
        for (estimator, own) in zip(report.estimators, values) {
            lines.append(
                row(estimator.name.rawValue, own.map { number($0, "%.3f") }, width: Self.correlationWidth))
        }
        return lines
    }

    private static let costWidth = 11
    private static let correlationWidth = 9
    private static let short: [EstimatorKind: String] = [.conjugateGradients: "cg"]

    private func number(_ value: Double?, _ format: String) -> String {
        value.map { String(format: format, $0) } ?? "-"
    }

    private func row(_ name: String, _ cells: [String], width: Int) -> String {
        func padding(_ count: Int) -> String { String(repeating: " ", count: max(count, 0)) }
        return name + padding(nameWidth - name.count)
            + cells.map { padding(max(width - $0.count, 1)) + $0 }.joined()
    }
}
