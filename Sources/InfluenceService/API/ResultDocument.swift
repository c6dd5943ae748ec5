import Attribution
import Foundation
import HTTP
import JSON

/// The results of a job in one of the forms that a client can ask for.
///
/// JSON: one query's result, or for a list `{"results": [...]}`, in the list's order. NDJSON: one line per query. In both, a query that
/// failed is `{"query": {...}, "error": {...}}`. CSV: one line per sequence or failed query.
public struct ResultDocument: Sendable {
    /// The forms, the preferred one first.
    public enum Format: String, Sendable, CaseIterable {
        case json, ndjson, csv

        public var mediaType: String {
            switch self {
            case .json: "application/json"
            case .ndjson: "application/x-ndjson"
            case .csv: "text/csv"
            }
        }

        var contentType: String { self == .csv ? "text/csv; charset=utf-8; header=present" : mediaType }

        /// The text before, between and after the queries' entries.
        fileprivate func frame(isList: Bool) -> (start: String, separator: String, end: String) {
            switch self {
            case .json: isList ? ("{\"results\":[", ",", "]}\n") : ("", "", "\n")
            case .ndjson: ("", "", "")
            case .csv: (ResultDocument.csvHeader, "", "")
            }
        }
    }

    private let isList: Bool
    private let queries: [InfluenceQuery]
    /// One per query.
    private let outcomes: [QueryOutcome]

    init(isList: Bool, queries: [InfluenceQuery], outcomes: [QueryOutcome]) {
        self.isList = isList
        self.queries = queries
        self.outcomes = outcomes
    }

    /// The document of answers that come directly from an engine.
    ///
    /// - Parameters:
    ///   - isList: Whether the document is a list, even of one.
    ///   - answers: One per query.
    public init(isList: Bool, queries: [InfluenceQuery], answers: [Result<InfluenceResult, QueryError>]) {
        self.init(isList: isList, queries: queries, outcomes: answers.map(QueryOutcome.init))
    }

    /// The document in UTF-8, ending with a line break.
    public func bytes(as format: Format) throws -> [UInt8] {
        let frame = format.frame(isList: isList)
        let entries = try zip(queries, outcomes).enumerated().map { index, pair in
            try Self.entry(of: pair.0, pair.1, at: index, as: format)
        }
        return Array(frame.start.utf8) + entries.joined(separator: Array(frame.separator.utf8)) + Array(frame.end.utf8)
    }

    /// One query's part of the document. All parts, one after the other, are the document.
    ///
    /// - Parameter count: The number of queries.
    static func part(
        of query: InfluenceQuery, _ outcome: QueryOutcome, at index: Int, of count: Int, isList: Bool,
        as format: Format
    ) throws -> [UInt8] {
        let frame = format.frame(isList: isList)
        return try Array((index == 0 ? frame.start : frame.separator).utf8)
            + entry(of: query, outcome, at: index, as: format) + (index == count - 1 ? Array(frame.end.utf8) : [])
    }

    /// A query's result or error: JSON without line breaks, or whole lines.
    private static func entry(
        of query: InfluenceQuery, _ outcome: QueryOutcome, at index: Int, as format: Format
    ) throws -> [UInt8] {
        if format == .csv { return Array(try csvLines(of: query, outcome, at: index).utf8) }
        let json =
            switch outcome {
            case .result(let body): Array(body)
            case .failure(let failure): Array(try jsonText(FailedQuery(query, failure)).utf8)
            }
        return format == .ndjson ? json + [0x0A] : json
    }

    private struct FailedQuery: Encodable {
        var query: Query
        var error: ProblemDocument

        struct Query: Encodable {
            var id: String?
            var prompt: String
            var completion: String
            var others: Int?
        }

        init(_ query: InfluenceQuery, _ failure: QueryFailure) {
            let label = QueryLabel(query)
            self.query = Query(
                id: query.id, prompt: label.prompt, completion: label.completion, others: label.others)
            error = ProblemDocument(Problem(failure))
        }
    }

    private static let csvHeader = CSVTable.line(
        [
            "query", "query_id", "rank", "id", "source", "score", "nats_per_copy", "spurious", "text", "error",
        ].map(CSVTable.Cell.value))

    private static func csvLines(of query: InfluenceQuery, _ outcome: QueryOutcome, at index: Int) throws -> String {
        let start: [CSVTable.Cell] = [.value(String(index)), .text(query.id)]
        switch outcome {
        case .result(let body):
            let result = try JSONTreeDecoder.decode(InfluenceResult.self, from: body)
            return result.sequences.map { sequence in
                CSVTable.line(
                    start + [
                        .value(String(sequence.rank)), .text(sequence.id), .text(sequence.source),
                        .value(String(sequence.score)), .value(String(sequence.natsPerCopy)),
                        .value(String(sequence.spurious)), .text(sequence.text), .empty,
                    ])
            }.joined()
        case .failure(let failure):
            return CSVTable.line(start + Array(repeating: .empty, count: 7) + [.text(Problem(failure).detail)])
        }
    }
}

/// A large result that is read from the store query by query, so that only one query's part is in memory.
struct ResultStream: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    let store: JobStore
    let job: Job
    let queries: [InfluenceQuery]
    let format: ResultDocument.Format
    let lane: BlockingLane
    let lease: ResponseBudget.Lease

    func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    struct Iterator: AsyncIteratorProtocol {
        let stream: ResultStream
        private var position = 0

        init(stream: ResultStream) { self.stream = stream }

        /// - Throws: ``JobStoreError``; a ``Problem`` if the job has expired meanwhile, because the client must not take an incomplete
        ///   result for a complete one.
        mutating func next() async throws -> [UInt8]? {
            let (store, queries, format, isList) = (stream.store, stream.queries, stream.format, stream.job.isList)
            guard queries.indices.contains(position) else { return nil }
            let position = position
            self.position += 1
            guard let outcome = try await store.outcome(of: stream.job.id, at: position) else {
                throw Problem.unknownJob(stream.job.id.description)
            }
            return try await stream.lane.run {
                try ResultDocument.part(
                    of: queries[position], outcome, at: position, of: queries.count, isList: isList, as: format)
            }
        }
    }
}

/// Comma-separated values (RFC 4180) that are safe to open in a spreadsheet.
///
/// Spreadsheets run a cell as a formula if it begins with `=`, `+`, `-` or `@`, also after a tab or a line break. Texts and ids of a corpus
/// must never run: a text that begins like this gets an apostrophe in front, and so does one in which only apostrophes precede such a
/// beginning. A reader that removes one apostrophe there has the original text. Numbers do not change.
enum CSVTable {
    enum Cell {
        /// A number or a word of our own.
        case value(String)
        /// Text that others wrote.
        case text(String)
        case empty

        static func text(_ text: String?) -> Cell { text.map { .text($0) } ?? .empty }
    }

    static func line(_ row: [Cell]) -> String { row.map(field).joined(separator: ",") + "\r\n" }

    private static func field(_ cell: Cell) -> String {
        switch cell {
        case .value(let value): value
        case .text(let text): quoted(wouldRun(text) ? "'" + text : text)
        case .empty: ""
        }
    }

    /// Whether a spreadsheet would take the text for a formula, or its apostrophe for one that was added here.
    private static func wouldRun(_ text: String) -> Bool {
        guard let first = text.utf8.first(where: { $0 != UInt8(ascii: "'") }) else { return false }
        return "=+-@\t\r\n".utf8.contains(first)
    }

    /// A field as in RFC 4180 section 2.
    private static func quoted(_ field: String) -> String {
        let needsQuotes = field.unicodeScalars.contains { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }
        guard needsQuotes else { return field }
        // By code points: a quotation mark with a combining accent is one character.
        let doubled = field.unicodeScalars.reduce(into: String.UnicodeScalarView()) { scalars, scalar in
            scalars.append(scalar)
            if scalar == "\"" { scalars.append(scalar) }
        }
        return "\"\(String(doubled))\""
    }
}
