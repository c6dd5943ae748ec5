import Evaluation
import Foundation
import JSON
import Trees

/// The answer of `tributary trees`, for every form of output.
struct TreesResult {
    let trained: TrainedForest
    let method: String
    let isPublished: Bool
    let explained: [Explained]
    /// The ranked rows as the training file has them.
    let values: RowValues
    /// The time of each stage.
    let seconds: [(stage: String, value: Double)]

    /// A row of `--rows`; or, without a number, the training rows themselves.
    struct Explained {
        /// From 0.
        var row: Int?
        var label: Double?
        var prediction: [Double] = []
        var loss: Double?
        /// The sum of the scores of all training rows.
        var sum: Double
        var ranked: [Ranked]
    }

    struct Ranked {
        /// From 0.
        let row: Int
        let score: Double
        let label: Double
    }

    var json: JSONTree {
        .object(model + [JSONTree.Member(name: "rows", value: .array(explained.map(document)))])
    }

    /// A document for each explained row.
    var lines: [JSONTree] { explained.map(document) }

    private var model: [JSONTree.Member] {
        let forest = trained.forest
        return [
            JSONTree.Member(
                name: "model",
                value: JSONTree(members: [
                    ("file", .string(forest.file)), ("library", .string(forest.library.rawValue)),
                    ("library_version", forest.version.map { .string($0) }), ("loss", .string(forest.loss.name)),
                    ("classes", forest.outputs > 1 ? .number("\(forest.outputs)") : nil),
                    ("iterations", .number("\(forest.iterations)")), ("trees", .number("\(forest.trees.count)")),
                    ("leaves", .number("\(forest.leaves)")), ("training_rows", .number("\(trained.rows)")),
                    ("learning_rate", .number(number(trained.rate))), ("l2", .number(number(trained.penalty))),
                    ("estimated", .boolean(trained.isEstimated)),
                    ("largest_residual", .number(number(trained.largestResidual))),
                ])),
            JSONTree.Member(name: "method", value: .string(method)),
            JSONTree.Member(name: "as_published", value: .boolean(isPublished)),
            JSONTree.Member(
                name: "seconds",
                value: .object(
                    seconds.map { JSONTree.Member(name: $0.stage, value: .number(String(format: "%.3f", $0.value))) })),
        ]
    }

    private func document(_ explained: Explained) -> JSONTree {
        let ranked = explained.ranked.enumerated().map { rank, row in
            JSONTree(members: [
                ("rank", .number("\(rank + 1)")), ("row", .number("\(row.row + 1)")),
                ("score", .number(number(row.score))),
                ("label", .number(number(row.label))),
                (
                    "values",
                    values.rows[row.row].map { cells in
                        .object(zip(values.columns, cells).map { JSONTree.Member(name: $0, value: $1) })
                    }
                ),
            ])
        }
        return JSONTree(members: [
            ("row", explained.row.map { .number("\($0 + 1)") }), ("label", explained.label.map { .number(number($0)) }),
            ("prediction", explained.row == nil ? nil : .array(explained.prediction.map { .number(number($0)) })),
            ("loss", explained.loss.map { .number(number($0)) }), ("sum", .number(number(explained.sum))),
            ("training_rows", .array(ranked)),
        ])
    }

    /// A line for each explained row and ranked training row.
    var csv: String {
        var lines = ["row,rank,training_row,score,label"]
        for explained in explained {
            for (rank, row) in explained.ranked.enumerated() {
                let explainedRow = explained.row.map { "\($0 + 1)" } ?? "\(row.row + 1)"
                lines.append("\(explainedRow),\(rank + 1),\(row.row + 1),\(number(row.score)),\(number(row.label))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A finite number as JSON and CSV have it.
    private func number(_ value: Double) -> String {
        value.magnitude < 1e15 && value == value.rounded() ? "\(Int(value))" : "\(value)"
    }

    /// The prediction in words.
    static func words(_ explained: Explained) -> String {
        let figures = explained.prediction.map { String(format: "%.4g", $0) }
        return figures.count == 1 ? figures[0] : "[\(figures.joined(separator: ", "))]"
    }

    /// The model and the method in words.
    var heading: [String] {
        let forest = trained.forest
        let rate = String(format: "%g", trained.rate)
        let penalty = String(format: "%g", trained.penalty)
        return [
            "\(forest.library.rawValue), \(forest.loss.name) loss, \(forest.trees.count) trees with \(forest.leaves) leaves; "
                + "\(trained.rows) training rows",
            "Learning rate \(rate), L2 penalty \(penalty)\(trained.isEstimated ? " (estimated from the leaves)" : ""); every leaf "
                + "rebuilt, largest residual \(String(format: "%.1e", trained.largestResidual))",
        ]
    }
}

/// The answer as a table for people.
struct TreesTable {
    let style: TerminalStyle

    func text(of result: TreesResult) -> String {
        var lines = result.heading.map { style.styled($0, .dim) }
        for explained in result.explained {
            lines.append("")
            if let row = explained.row {
                let label = String(format: "%g", explained.label ?? 0)
                let loss = String(format: "%.4g", explained.loss ?? 0)
                lines.append(
                    style.styled("Row \(row + 1)", .bold)
                        + ": label \(label), prediction \(TreesResult.words(explained)), loss \(loss); "
                        + "the scores of all training rows add up to \(explained.sum.withSign)")
            } else {
                lines.append(style.styled("Training rows by their score on themselves", .bold))
            }
            lines +=
                explained.ranked.isEmpty
                ? ["No training row has a score of this sign."] : table(explained.ranked, result.values)
        }
        lines += [
            "",
            "score (\(result.method)\(result.isPublished ? ", as published" : "")): positive if the training row lowers the loss.",
        ]
        return lines.joined(separator: "\n") + "\n"
    }

    private static let narrowestColumn = 3
    private static let widestColumn = 14

    private func table(_ ranked: [TreesResult.Ranked], _ values: RowValues) -> [String] {
        let cells = ranked.map { row in (values.rows[row.row] ?? []).map(Self.text) }
        let widths = values.columns.indices.map { column in
            let longest = cells.reduce(values.columns[column].escaped.columns) {
                max($0, $1.indices.contains(column) ? $1[column].columns : 0)
            }
            return min(max(longest, Self.narrowestColumn), Self.widestColumn)
        }
        // As many columns as fit.
        var used = 4 + 2 + 9 + 2 + 9
        var shown: [Int] = []
        for (column, width) in widths.enumerated() {
            guard used + 2 + width <= style.width else { break }
            used += 2 + width
            shown.append(column)
        }
        let head =
            ["rank".rightAligned(in: 4), "row".rightAligned(in: 9), "score".rightAligned(in: 9)]
            + shown.map { values.columns[$0].escaped.cut(to: widths[$0]).rightAligned(in: widths[$0]) }
            + (shown.count < widths.count ? ["…"] : [])
        return [style.styled(head.joined(separator: "  "), .dim)]
            + zip(ranked.indices, ranked).map { index, row in
                let fixed = [
                    "\(index + 1)".rightAligned(in: 4), "\(row.row + 1)".rightAligned(in: 9),
                    style.styled(row.score.withSign.rightAligned(in: 9), row.score < 0 ? .negative : .positive),
                ]
                let own = shown.map { column in
                    (cells[index].indices.contains(column) ? cells[index][column] : "").cut(to: widths[column])
                        .rightAligned(in: widths[column])
                }
                return (fixed + own).joined(separator: "  ")
            }
    }

    private static func text(_ value: JSONTree) -> String {
        switch value {
        case .null: "-"
        case .string(let text), .number(let text): text.escaped
        default: value.text.escaped
        }
    }
}

/// One row's scores as a page: the strongest rows as bars, and how the scores add up.
struct TreesReport {
    let result: TreesResult
    let row: TreesResult.Explained
    /// The scores of all training rows.
    let scores: [Double]

    private static let bars = 20
    private static let steps = 14

    var report: EvaluationReport {
        let order = scores.indices.sorted { abs(scores[$0]) > abs(scores[$1]) }
        let strongest = order.prefix(Self.bars)
        let bars = strongest.map { Plot.Bar(name($0), scores[$0]) }
        let leading = order.prefix(Self.steps)
        let rest = row.sum - leading.reduce(0) { $0 + scores[$1] }
        let steps =
            leading.map { Plot.Bar(name($0), scores[$0]) } + [
                Plot.Bar("\(max(scores.count - leading.count, 0)) others", rest)
            ]
        let label = String(format: "%g", row.label ?? 0)
        let loss = String(format: "%.4g", row.loss ?? 0)
        let helpful = scores.reduce(0) { $0 + max($1, 0) }
        var report = EvaluationReport(
            title: "Row \((row.row ?? 0) + 1)",
            question:
                "Which training rows made the model predict \(TreesResult.words(row)) where the label is \(label)?")
        report.findings = [
            "The loss is \(loss).",
            "\(scores.count { $0 > 0 }) training rows lower it, by scores of \(helpful.withSign) in all; "
                + "\(scores.count { $0 < 0 }) raise it, by \((row.sum - helpful).withSign).",
        ]
        report.sections = [
            (
                "The strongest training rows",
                [
                    .plot(
                        Plot(title: "Scores: positive if the row lowers the loss.", shape: .bars(bars, label: "score")))
                ]
            ),
            (
                "How the scores add up",
                [
                    .plot(
                        Plot(
                            title: "From 0 to the sum of all scores, the strongest rows first.",
                            shape: .waterfall(steps, label: "sum of scores")))
                ]
            ),
        ]
        let columns = ["training row", "score", "label"]
        let rows = strongest.map { index in
            ["\(index + 1)", scores[index].withSign, String(format: "%g", result.trained.table.label(of: index))]
        }
        report.sections.append(("The same as a table", [.table(ReportTable(columns: columns, rows: rows))]))
        report.provenance =
            [
                ("Model", result.trained.forest.file),
                ("Method", result.method + (result.isPublished ? ", as published" : "")),
            ] + result.heading.enumerated().map { ($0 == 0 ? "Trees" : "Gate", $1) }
        return report
    }

    private func name(_ row: Int) -> String {
        "row \(row + 1), label \(String(format: "%g", result.trained.table.label(of: row)))"
    }
}
