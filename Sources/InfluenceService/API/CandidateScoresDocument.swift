import Attribution
import Files
import Foundation
import HTTP
import JSON

/// The scores of all candidates as one of the tables that a client can ask for.
///
/// NDJSON and CSV have a line per candidate: its id, its score, and whether the score was computed again with the full-rank gradient. A
/// score that is not finite is null in NDJSON and empty in CSV. NPY is NumPy's file of an array of Float64
/// (numpy.org/doc/stable/reference/generated/numpy.lib.format.html) and has the scores alone; NaN stands for those that are not finite.
public enum CandidateScoresFormat: String, Sendable, CaseIterable {
    case ndjson, csv, npy

    public var mediaType: String {
        switch self {
        case .ndjson: "application/x-ndjson"
        case .csv: "text/csv"
        case .npy: "application/x-npy"
        }
    }

    var contentType: String { self == .csv ? "text/csv; charset=utf-8; header=present" : mediaType }

    /// What stands before the candidates.
    ///
    /// - Parameters:
    ///   - shape: The lengths of the array's dimensions.
    ///   - hasQuery: Whether lines begin with the query.
    public func start(shape: [Int], hasQuery: Bool = false) -> [UInt8] {
        switch self {
        case .ndjson: []
        case .csv: Array("\(hasQuery ? "query," : "")id,score,rescored\r\n".utf8)
        case .npy: Self.arrayHeader(shape: shape)
        }
    }

    /// The candidates of a part of the table.
    ///
    /// - Parameters:
    ///   - identifiers: One per candidate; none are needed for NPY.
    ///   - query: The name of the query, with which lines begin.
    public func rows(_ scores: CandidateScores, identifiers: [String], query: String? = nil) -> [UInt8] {
        switch self {
        case .npy:
            return scores.scores.map { ($0.isFinite ? $0 : .nan).bitPattern }.littleEndianBytes
        case .csv:
            let start = query.map { [CSVTable.Cell.text($0)] } ?? []
            let lines = identifiers.enumerated().map { index, identifier in
                let score = scores.scores[index]
                return CSVTable.line(
                    start + [
                        .text(identifier), score.isFinite ? .value("\(score)") : .empty,
                        .value("\(scores.isRescored[index])"),
                    ])
            }
            return Array(lines.joined().utf8)
        case .ndjson:
            let start = query.map { "\"query\":\(JSONTree.string($0).text)," } ?? ""
            var lines: [UInt8] = []
            for (index, identifier) in identifiers.enumerated() {
                let score = scores.scores[index]
                lines += Array(
                    """
                    {\(start)"id":\(JSONTree.string(identifier).text),"score":\(score.isFinite ? "\(score)" : "null"),\
                    "rescored":\(scores.isRescored[index])}

                    """.utf8)
            }
            return lines
        }
    }

    /// The ids of some candidates, each as a line of JSON: an array has no room for them.
    public static func lines(ofIdentifiers identifiers: [String]) -> [UInt8] {
        Array(identifiers.map { JSONTree.string($0).text + "\n" }.joined().utf8)
    }

    private static func arrayHeader(shape: [Int]) -> [UInt8] {
        let lengths = shape.map { "\($0)," }.joined(separator: " ")
        let dictionary = "{'descr': '<f8', 'fortran_order': False, 'shape': (\(lengths)), }"
        // The array begins at a multiple of 64 bytes, so that it can be mapped.
        let spaces = 63 - (10 + dictionary.utf8.count) % 64
        let header = Array(dictionary.utf8) + Array(repeating: 0x20, count: spaces) + [0x0A]
        return [0x93] + Array("NUMPY".utf8) + [1, 0] + [UInt16(header.count)].littleEndianBytes + header
    }
}

/// A part of the scores of all candidates, as JSON.
struct CandidateScoresPage: Encodable {
    /// How many candidates the query has.
    var candidates: Int
    var scores: [Row]
    var nextCursor: String?

    struct Row: Encodable {
        var id: String
        /// Nil, written as null, if the model overflows on the sequence.
        var score: Double?
        var rescored: Bool

        private enum CodingKeys: String, CodingKey { case id, score, rescored }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(id, forKey: .id)
            try container.encode(score, forKey: .score)
            try container.encode(rescored, forKey: .rescored)
        }
    }

    enum CodingKeys: String, CodingKey {
        case candidates, scores
        case nextCursor = "next_cursor"
    }
}

/// The scores of all candidates as a table that is read from the store chunk by chunk, so that only one chunk is in memory.
struct CandidateScoresStream: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    /// A table, or the ids alone.
    enum Content: Sendable, Equatable {
        case table(CandidateScoresFormat)
        case identifiers
    }

    let store: JobStore
    let engine: any ServiceEngine
    let job: JobIdentifier
    /// The index of the query in the job.
    let query: Int
    /// The candidates, by their indices.
    let range: Range<Int>
    let content: Content
    let lane: BlockingLane
    let lease: ResponseBudget.Lease

    func makeAsyncIterator() -> Iterator { Iterator(stream: self, position: range.lowerBound) }

    struct Iterator: AsyncIteratorProtocol {
        let stream: CandidateScoresStream
        var position: Int
        private var hasStarted = false

        init(stream: CandidateScoresStream, position: Int) { (self.stream, self.position) = (stream, position) }

        /// - Throws: ``JobStoreError``; a ``Problem`` if the job has expired meanwhile, because the client must not take an incomplete
        ///   table for a complete one.
        mutating func next() async throws -> [UInt8]? {
            let (stream, position, content) = (stream, position, stream.content)
            if !hasStarted {
                hasStarted = true
                if case .table(let format) = content {
                    let start = format.start(shape: [stream.range.count])
                    if !start.isEmpty { return start }
                }
            }
            guard position < stream.range.upperBound else { return nil }
            let found = try await stream.store.candidateScores(of: stream.job, at: stream.query, from: position)
            guard let scores = found else { throw Problem.unknownJob(stream.job.description) }
            self.position += scores.count
            return try await stream.lane.run {
                if content == .table(.npy) { return CandidateScoresFormat.npy.rows(scores, identifiers: []) }
                let identifiers = try stream.engine.identifiers(rowids: scores.rowids)
                switch content {
                case .table(let format): return format.rows(scores, identifiers: identifiers)
                case .identifiers: return CandidateScoresFormat.lines(ofIdentifiers: identifiers)
                }
            }
        }
    }
}
