import Dispatch
import Synchronization

/// Which queries of a sweep still want their scores, and of which candidates.
final class SweepInterest: Sendable {
    /// The interest since the last cancellation.
    struct Current: Sendable {
        /// Increases with each cancellation.
        var generation: Int
        /// The indices of the queries that are not cancelled.
        var queries: [Int]
        var arranged: ScoringQueries
        /// Which of these queries want which candidates; `nil` if all want all.
        var pairs: WantedPairs?

        func wants(_ candidate: Int) -> Bool { pairs?.isWanted(candidate) ?? true }
    }

    private let queries: [PreconditionedQuery]
    private let candidateCount: Int
    private let wanted: [[Int]]?
    private let isInHalfPrecision: Bool
    private let isCancelled: @Sendable (_ query: Int) -> Bool
    private let form: @Sendable ([PreconditionedQuery], _ wantedShare: Double) -> ScoringForm
    /// Guards the arranged queries, and is not locked while they are being arranged.
    private let state: Mutex<Current>
    /// Lets one worker at a time arrange queries. The others wait for it, but arranging is arithmetic alone and waits for nothing.
    private let turn = DispatchSemaphore(value: 1)

    /// - Parameters:
    ///   - wanted: For each query its candidates, by their indices; `nil` if each query wants all.
    ///   - form: The form in which some of the queries are scored, given the share of pairs that they want.
    init(
        queries: [PreconditionedQuery], candidateCount: Int, wanted: [[Int]]?, isInHalfPrecision: Bool,
        isCancelled: @escaping @Sendable (_ query: Int) -> Bool,
        form: @escaping @Sendable ([PreconditionedQuery], _ wantedShare: Double) -> ScoringForm
    ) {
        self.queries = queries
        self.candidateCount = candidateCount
        self.wanted = wanted
        self.isInHalfPrecision = isInHalfPrecision
        self.isCancelled = isCancelled
        self.form = form
        state = Mutex(Current(generation: 0, queries: [], arranged: ScoringQueries([]), pairs: nil))
        let all = arranged(Array(queries.indices), generation: 0)
        state.withLock { $0 = all }
    }

    /// Asks which queries are cancelled, and rearranges the others if some are.
    ///
    /// - Throws: ``QueryError/cancelled`` if all queries are cancelled.
    func current() throws -> Current {
        let now = state.withLock { $0 }
        let remaining = now.queries.filter { !isCancelled($0) }
        if remaining.count == now.queries.count, !remaining.isEmpty { return now }
        let next = remaining.isEmpty ? nil : rearranged(without: Set(now.queries).subtracting(remaining))
        guard let next, !next.queries.isEmpty else { throw QueryError.cancelled }
        return next
    }

    private func rearranged(without cancelled: Set<Int>) -> Current {
        turn.wait()
        defer { turn.signal() }
        let now = state.withLock { $0 }
        let remaining = now.queries.filter { !cancelled.contains($0) }
        // Another worker may have seen the same cancellations first.
        guard remaining.count < now.queries.count else { return now }
        let next = arranged(remaining, generation: now.generation + 1)
        state.withLock { $0 = next }
        return next
    }

    private func arranged(_ remaining: [Int], generation: Int) -> Current {
        let pairs = wanted.flatMap { wanted in WantedPairs(remaining.map { wanted[$0] }, of: candidateCount) }
        let share = pairs.map { Double($0.count) / Double(max(remaining.count * candidateCount, 1)) } ?? 1
        let own = remaining.map { queries[$0] }
        return Current(
            generation: generation, queries: remaining,
            arranged: ScoringQueries(own, form: form(own, share), isInHalfPrecision: isInHalfPrecision), pairs: pairs)
    }
}

struct WantedPairs: Sendable {
    /// The offset of each candidate's queries, and at last the end of the last candidate's.
    private let starts: [Int]
    private let queries: [Int32]

    /// - Parameter candidates: For each query its candidates, by their indices.
    /// - Returns: `nil` if every query wants every candidate.
    init?(_ candidates: [[Int]], of count: Int) {
        guard candidates.contains(where: { $0.count < count }) else { return nil }
        var starts = [Int](repeating: 0, count: count + 1)
        for candidate in candidates.joined() { starts[candidate + 1] += 1 }
        for index in 0..<count { starts[index + 1] += starts[index] }
        var next = starts
        var queries = [Int32](repeating: 0, count: starts[count])
        for (query, own) in candidates.enumerated() {
            for candidate in own {
                queries[next[candidate]] = Int32(query)
                next[candidate] += 1
            }
        }
        self.starts = starts
        self.queries = queries
    }

    /// The queries that want a candidate, ascending.
    subscript(candidate: Int) -> [Int] { queries[starts[candidate]..<starts[candidate + 1]].map(Int.init) }

    func isWanted(_ candidate: Int) -> Bool { starts[candidate] < starts[candidate + 1] }

    var count: Int { queries.count }
}
