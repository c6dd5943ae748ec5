import ArgumentParser
import Attribution
import Files
import Foundation
import InfluenceService

/// A file with the scores of all candidates of one or several queries.
///
/// NDJSON and CSV have a line per query and candidate. NPY has a number per candidate or, for a list of queries, a row of numbers per query
/// with a column for each sequence that is a candidate of any of them; a second file beside it has the sequences' ids.
struct AllScoresFile {
    private let path: String
    private let format: CandidateScoresFormat

    /// - Throws: `ValidationError` if the name does not end in the name of a format.
    init(path: String) throws {
        self.path = path
        let ending = URL(filePath: path).pathExtension.lowercased()
        guard let format = CandidateScoresFormat(rawValue: ending == "jsonl" ? "ndjson" : ending) else {
            throw ValidationError(
                "--all-scores: expected a file whose name ends in .ndjson, .jsonl, .csv or .npy, found \"\(path)\"")
        }
        self.format = format
    }

    /// The file with the ids of an array's columns.
    private var identifiersPath: String { String(path.dropLast(4)) + ".ids.jsonl" }

    /// - Parameters:
    ///   - answers: One per query. Those that failed have no lines, and NaN in an array.
    ///   - isList: Whether the queries come from a list.
    ///   - identifiers: The ids of sequences with these rowids, which are ascending.
    /// - Throws: ``AtomicFileError``, and the errors of `identifiers`.
    func write(
        _ answers: [Result<InfluenceResult, QueryError>], to queries: [InfluenceQuery], isList: Bool,
        identifiers: ([Int64]) throws -> [String]
    ) throws {
        let found = answers.map { try? $0.get().allScores }
        if format == .npy {
            try writeArray(found, isList: isList, identifiers: identifiers)
        } else {
            try writeLines(found, of: queries, isList: isList, identifiers: identifiers)
        }
    }

    private func writeLines(
        _ found: [CandidateScores?], of queries: [InfluenceQuery], isList: Bool,
        identifiers: ([Int64]) throws -> [String]
    ) throws {
        var file = try AtomicFile(replacing: path)
        try file.append(format.start(shape: [], hasQuery: isList).span.bytes)
        for (index, scores) in found.enumerated() {
            guard let scores else { continue }
            let name = isList ? queries[index].id ?? "\(index)" : nil
            try inParts(scores.count) { part in
                let scores = scores[part]
                let rows = format.rows(scores, identifiers: try identifiers(scores.rowids), query: name)
                try file.append(rows.span.bytes)
            }
        }
        try file.commit()
    }

    private func writeArray(
        _ found: [CandidateScores?], isList: Bool, identifiers: ([Int64]) throws -> [String]
    ) throws {
        let columns = Array(Set(found.flatMap { $0?.rowids ?? [] })).sorted()
        var file = try AtomicFile(replacing: path)
        let shape = isList ? [found.count, columns.count] : [columns.count]
        try file.append(format.start(shape: shape).span.bytes)
        for scores in found {
            var row = [Double](repeating: .nan, count: columns.count)
            var column = 0
            for (index, rowid) in (scores?.rowids ?? []).enumerated() {
                while columns[column] < rowid { column += 1 }
                row[column] = scores?.scores[index] ?? .nan
            }
            try file.append(row.map { ($0.isFinite ? $0 : .nan).bitPattern }.littleEndianBytes.span.bytes)
        }
        var names = try AtomicFile(replacing: identifiersPath)
        try inParts(columns.count) { part in
            let lines = CandidateScoresFormat.lines(ofIdentifiers: try identifiers(Array(columns[part])))
            try names.append(lines.span.bytes)
        }
        try names.commit()
        try file.commit()
    }

    /// Candidates whose lines are in memory together.
    private static let candidatesAtOnce = 16_384

    private func inParts(_ count: Int, _ body: (Range<Int>) throws -> Void) rethrows {
        for start in stride(from: 0, to: count, by: Self.candidatesAtOnce) {
            try body(start..<min(start + Self.candidatesAtOnce, count))
        }
    }
}
