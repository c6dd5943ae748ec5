import Foundation

/// The findings of an evaluation for people: text in the terminal, with plots in a browser.
public struct EvaluationReport: Sendable {
    /// Such as "Linear datamodeling score".
    public var title: String
    /// The question, in one sentence.
    public var question: String
    /// The findings, in sentences: the first thing that is read.
    public var findings: [String] = []
    public var sections: [(title: String, elements: [Element])] = []
    /// How the report was made, at the end: model, corpus, seed, time.
    public var provenance: [Fact] = []

    public init(
        title: String, question: String, findings: [String] = [], sections: [(title: String, elements: [Element])] = [],
        provenance: [Fact] = []
    ) {
        self.title = title
        self.question = question
        self.findings = findings
        self.sections = sections
        self.provenance = provenance
    }

    public typealias Fact = (name: String, value: String)

    public enum Element: Sendable {
        case paragraph(String)
        case table(ReportTable)
        /// Shown only in a browser.
        case plot(Plot)

        static func table(columns: [String], rows: [[String]]) -> Element {
            .table(ReportTable(columns: columns, rows: rows))
        }

        static func plot(_ title: String, _ shape: Plot.Shape) -> Element { .plot(Plot(title: title, shape: shape)) }
    }

    /// The report without its plots, for a terminal.
    public var text: String {
        var lines = [title, question]
        if !findings.isEmpty { lines += [""] + findings.map { "- " + $0 } }
        for section in sections {
            lines += ["", section.title]
            for element in section.elements {
                switch element {
                case .paragraph(let text): lines.append(text)
                case .table(let table): lines.append(table.text)
                case .plot: break
                }
            }
        }
        return lines.joined(separator: "\n")
    }
}

/// A table of a report. The first column has text, the others have figures.
public struct ReportTable: Sendable {
    public var columns: [String]
    public var rows: [[String]]

    public init(columns: [String], rows: [[String]]) {
        self.columns = columns
        self.rows = rows
    }

    /// The table with columns as wide as their widest cell, and figures aligned right.
    public var text: String {
        let lines = [columns] + rows
        let widths = columns.indices.map { column in lines.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        return lines.map { cells in
            cells.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: max(widths[column] - cell.count, 0))
                return column == 0 ? cell + padding : padding + cell
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

/// The form of figures in reports.
public enum Figure {
    public static func number(_ value: Double?, _ digits: Int = 3) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? "-"
    }

    /// The value, with its interval behind it.
    public static func estimate(_ estimate: Estimate?, _ digits: Int = 3) -> String {
        guard let estimate else { return "-" }
        return "\(number(estimate.value, digits)) [\(number(estimate.low, digits)), \(number(estimate.high, digits))]"
    }

    public static func percent(_ share: Double?, _ digits: Int = 1) -> String {
        share.map { String(format: "%.\(digits)f %%", 100 * $0) } ?? "-"
    }

    /// Seconds, in the unit that people would use.
    public static func duration(_ seconds: Double) -> String {
        if seconds < 0.01 { return String(format: "%.1f ms", 1_000 * seconds) }
        if seconds < 120 { return String(format: seconds < 10 ? "%.2f s" : "%.0f s", seconds) }
        return String(format: "%.0f min", seconds / 60)
    }
}
