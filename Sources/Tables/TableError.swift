import Foundation

/// Why a table, or a row of it, cannot be read.
public enum TableError: Error, Equatable, Sendable {
    case unreadable(file: String, reason: String)
    /// The file ends too early; `missing` is the noun for what it lacks.
    case truncated(file: String, missing: String)
    /// The file contradicts itself or its format.
    case corrupt(file: String, reason: String)
    /// The file uses a part of its format that is not read.
    case unsupported(file: String, feature: String, advice: String)
    case missingColumn(file: String, column: String, columns: [String])
    /// A row has more or fewer fields than the header.
    case raggedRow(file: String, row: Int, line: Int, fields: Int, columns: Int)
    /// A text does not follow its format from this line on.
    case malformed(file: String, line: Int, reason: String)
    case badValue(file: String, row: Int, line: Int?, column: String, reason: String)
    case tooLong(file: String, row: Int, line: Int?, limit: Int)
}

extension TableError: CustomStringConvertible, LocalizedError {
    public var description: String { place + ": " + sentence }

    public var errorDescription: String? { description }

    /// The file, and the line or the row where there is one.
    private var place: String {
        switch (line, row) {
        case (let line?, _): "\(file):\(line)"
        case (nil, let row?): "\(file), row \(row)"
        default: file
        }
    }

    /// The description without the file and the row.
    public var sentence: String {
        switch self {
        case .unreadable(_, let reason):
            "the file cannot be read: \(reason)"
        case .truncated(_, let missing):
            "the file ends before \(missing). Copy or download it again."
        case .corrupt(_, let reason):
            "the file is damaged: \(reason). Copy or download it again, or write it again."
        case .unsupported(_, let feature, let advice):
            "\(feature) cannot be read. \(advice)"
        case .missingColumn(_, let column, let columns):
            "there is no column \"\(column)\". The columns are \(Self.list(columns))."
        case .raggedRow(_, let row, _, let fields, let columns):
            "row \(row) has \(fields == 1 ? "1 field" : "\(fields) fields"), and the header has \(columns). Quote fields that contain "
                + "separators or line ends, and double the quotes in them."
        case .malformed(_, _, let reason):
            reason
        case .badValue(_, _, _, let column, let reason):
            "\"\(column)\" \(reason)"
        case .tooLong(_, _, _, let limit):
            "the row has more than \(limit) bytes. Split it into several."
        }
    }

    public var file: String {
        switch self {
        case .unreadable(let file, _), .truncated(let file, _), .corrupt(let file, _), .unsupported(let file, _, _),
            .missingColumn(let file, _, _), .raggedRow(let file, _, _, _, _), .malformed(let file, _, _),
            .badValue(let file, _, _, _, _), .tooLong(let file, _, _, _):
            file
        }
    }

    /// The row at fault, from 1.
    public var row: Int? {
        switch self {
        case .raggedRow(_, let row, _, _, _), .badValue(_, let row, _, _, _), .tooLong(_, let row, _, _): row
        default: nil
        }
    }

    /// The line at fault, from 1.
    public var line: Int? {
        switch self {
        case .raggedRow(_, _, let line, _, _), .malformed(_, let line, _): line
        case .badValue(_, _, let line, _, _), .tooLong(_, _, let line, _): line
        default: nil
        }
    }

    /// The column at fault.
    public var column: String? {
        switch self {
        case .missingColumn(_, let column, _), .badValue(_, _, _, let column, _): column
        default: nil
        }
    }

    private static func list(_ columns: [String]) -> String {
        let named = columns.prefix(50).map { "\"\($0)\"" }.joined(separator: ", ")
        return columns.count > 50 ? named + " and \(columns.count - 50) more" : named.isEmpty ? "none" : named
    }
}
