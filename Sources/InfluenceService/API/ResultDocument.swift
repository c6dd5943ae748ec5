import Attribution
import Foundation
import HTTP
import JSON

/// The results of a job in one of the forms a client may ask for.
///
/// JSON: what one query's result is, or for a list `{"results": [...]}`, in the list's order. NDJSON: a line a query. In both a
/// query that failed is `{"query": {...}, "error": {...}}`. CSV: a line a sequence, or a line a failed query.
public struct ResultDocument: Sendable {
    /// The forms, the favourite first.
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
    }

    private let isList: Bool
    private let queries: [InfluenceQuery]
    /// One a query.
    private let outcomes: [QueryOutcome]
    /// The place of the first query in the job's request.
    private let firstPosition: Int

    init(isList: Bool, queries: [InfluenceQuery], outcomes: [QueryOutcome], firstPosition: Int = 0) {
        self.isList = isList
        self.queries = queries
        self.outcomes = outcomes
        self.firstPosition = firstPosition
    }

    /// The document of answers that come straight from an engine.
    ///
    /// - Parameters:
    ///   - isList: Whether the document is to be a list even of one.
    ///   - answers: One a query.
    public init(isList: Bool, queries: [InfluenceQuery], answers: [Result<InfluenceResult, QueryError>]) {
        self.init(isList: isList, queries: queries, outcomes: answers.map(QueryOutcome.init))
    }

    /// The document in UTF-8, with a line's end at its own.
    public func bytes(as format: Format) throws -> [UInt8] {
        switch format {
        case .csv: Array(try csv().utf8)
        case .ndjson: try entries().reduce(into: []) { $0 += $1 + [0x0A] }
        case .json: try jsonBytes()
        }
    }

    private func jsonBytes() throws -> [UInt8] {
        let entries = try entries()
        guard isList else { return (entries.first ?? []) + [0x0A] }
        return Array("{\"results\":[".utf8) + entries.joined(separator: [0x2C]) + Array("]}\n".utf8)
    }

    /// Each query's result or error as JSON without line ends.
    private func entries() throws -> [[UInt8]] {
        try zip(queries, outcomes).map { query, outcome in
            switch outcome {
            case .result(let body): Array(body)
            case .failure(let failure): Array(try jsonText(FailedQuery(query, failure)).utf8)
            }
        }
    }

    private struct FailedQuery: Encodable {
        var query: Query
        var error: ProblemDocument

        struct Query: Encodable {
            var id: String?
            var prompt: String
            var completion: String
        }

        init(_ query: InfluenceQuery, _ failure: QueryFailure) {
            self.query = Query(id: query.id, prompt: query.prompt, completion: query.completion)
            error = ProblemDocument(Problem(failure))
        }
    }

    private func csv() throws -> String {
        var table = CSVTable(
            header: [
                "query", "query_id", "rank", "id", "source", "score", "nats_per_copy", "spurious", "text", "error",
            ])
        for (index, (query, outcome)) in zip(firstPosition..., zip(queries, outcomes)) {
            let start: [CSVTable.Cell] = [.value(String(index)), .text(query.id)]
            switch outcome {
            case .result(let body):
                let result = try JSONTreeDecoder.decode(InfluenceResult.self, from: body)
                for sequence in result.sequences {
                    table.append(
                        start + [
                            .value(String(sequence.rank)), .text(sequence.id), .text(sequence.source),
                            .value(String(sequence.score)), .value(String(sequence.natsPerCopy)),
                            .value(String(sequence.spurious)), .text(sequence.text), .empty,
                        ])
                }
            case .failure(let failure):
                table.append(
                    start + Array(repeating: .empty, count: 7) + [.text(Problem(failure).detail)])
            }
        }
        return table.text
    }
}

/// A large result as it is read from the store, query by query, so that no more than one query's part is in memory.
struct ResultStream: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    let store: JobStore
    let job: Job
    /// As they were understood.
    let queries: [InfluenceQuery]
    let format: ResultDocument.Format
    let lane: BlockingLane
    /// Counts what the stream has in memory.
    let lease: ResponseBudget.Lease

    func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    struct Iterator: AsyncIteratorProtocol {
        let stream: ResultStream
        private var position = 0

        init(stream: ResultStream) { self.stream = stream }

        /// - Throws: ``JobStoreError``; a ``Problem`` where the job has expired in the meantime: the client must not take what it
        ///   has for whole.
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
                    at: position, of: queries.count, isList: isList, query: queries[position], outcome: outcome,
                    as: format)
            }
        }
    }
}

extension ResultDocument {
    /// What one query has of the document: its parts, one after the other, are the whole.
    static func part(
        at position: Int, of count: Int, isList: Bool, query: InfluenceQuery, outcome: QueryOutcome, as format: Format
    ) throws -> [UInt8] {
        let document = ResultDocument(isList: false, queries: [query], outcomes: [outcome], firstPosition: position)
        var bytes = try document.bytes(as: format)
        switch format {
        case .ndjson: break
        case .csv:
            guard position > 0, let end = bytes.firstIndex(of: 0x0A) else { break }
            bytes.removeSubrange(...end)
        case .json:
            guard isList else { break }
            bytes.removeLast()
            let start = position == 0 ? "{\"results\":[" : ","
            bytes = Array(start.utf8) + bytes + (position == count - 1 ? Array("]}\n".utf8) : [])
        }
        return bytes
    }
}

/// A table as comma-separated values (RFC 4180), safe to open in a spreadsheet.
///
/// Spreadsheets run a cell as a formula that begins with `=`, `+`, `-` or `@`, also behind a tab or a line break. What a corpus's texts
/// and ids say must not run anywhere: a text that begins so gets an apostrophe in front, and so does one that begins with apostrophes
/// and then so. A reader that takes away one apostrophe there has the text as it was. Numbers stay as they are.
struct CSVTable {
    enum Cell {
        /// A number or a word of our own.
        case value(String)
        /// What others wrote.
        case text(String)
        case empty

        static func text(_ text: String?) -> Cell { text.map { .text($0) } ?? .empty }
    }

    private(set) var text: String

    init(header: [String]) { text = header.joined(separator: ",") + "\r\n" }

    mutating func append(_ row: [Cell]) {
        text += row.map(Self.field).joined(separator: ",") + "\r\n"
    }

    private static func field(_ cell: Cell) -> String {
        switch cell {
        case .value(let value): value
        case .text(let text): quoted(wouldRun(text) ? "'" + text : text)
        case .empty: ""
        }
    }

    /// Whether a spreadsheet would take the text for a formula, or an apostrophe of its own for one that was put there.
    private static func wouldRun(_ text: String) -> Bool {
        guard let first = text.utf8.first(where: { $0 != UInt8(ascii: "'") }) else { return false }
        return "=+-@\t\r\n".utf8.contains(first)
    }

    /// A field as RFC 4180 section 2 has it.
    private static func quoted(_ field: String) -> String {
        let needsQuotes = field.unicodeScalars.contains { $0 == "," || $0 == "\"" || $0 == "\n" || $0 == "\r" }
        guard needsQuotes else { return field }
        // By code points: a quotation mark and an accent on it are one character.
        let doubled = field.unicodeScalars.reduce(into: String.UnicodeScalarView()) { scalars, scalar in
            scalars.append(scalar)
            if scalar == "\"" { scalars.append(scalar) }
        }
        return "\"\(String(doubled))\""
    }
}
