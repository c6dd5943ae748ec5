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
