import Foundation

/// A table of a report. The first column is text, the others are figures.
public struct ReportTable: Sendable {
    public var columns: [String]
    public var rows: [[String]]

    public init(columns: [String], rows: [[String]]) {
        self.columns = columns
        self.rows = rows
    }

    /// Columns as wide as their widest cell, figures to the right.
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

/// How figures are written in reports.
public enum Figure {
    public static func number(_ value: Double?, _ digits: Int = 3) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? "-"
    }

    /// With the interval behind it.
    public static func estimate(_ estimate: Estimate?, _ digits: Int = 3) -> String {
        guard let estimate else { return "-" }
        return "\(number(estimate.value, digits)) [\(number(estimate.low, digits)), \(number(estimate.high, digits))]"
    }

    public static func percent(_ share: Double?, _ digits: Int = 1) -> String {
        share.map { String(format: "%.\(digits)f %%", 100 * $0) } ?? "-"
    }

    /// Seconds, as people say them.
    public static func duration(_ seconds: Double) -> String {
        if seconds < 0.01 { return String(format: "%.1f ms", 1_000 * seconds) }
        if seconds < 120 { return String(format: seconds < 10 ? "%.2f s" : "%.0f s", seconds) }
        return String(format: "%.0f min", seconds / 60)
    }
}
