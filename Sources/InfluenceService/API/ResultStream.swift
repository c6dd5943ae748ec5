import Attribution
import HTTP

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
