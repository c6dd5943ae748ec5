import Dispatch
import Synchronization

/// Which queries of a sweep still want their scores, and of which candidates.
final class SweepInterest: Sendable {
    /// The state of interest since the last cancellation.
    struct Current: Sendable {
        /// Goes up with each cancellation.
        var generation: Int
        /// The queries that are not cancelled, by their place among all.
        var queries: [Int]
        var arranged: ScoringQueries
        /// Which of them want which candidates; `nil` if all want all.
        var pairs: WantedPairs?

        func wants(_ candidate: Int) -> Bool { pairs?.isWanted(candidate) ?? true }
    }

    private let queries: [PreconditionedQuery]
    private let candidateCount: Int
    private let control: SweepControl
    /// The form in which some of the queries are scored, given the share of pairs that they want.
    private let isInHalfPrecision: Bool
    private let form: @Sendable ([PreconditionedQuery], _ wantedShare: Double) -> ScoringForm
    /// Guards what has been arranged, and is not held while it is arranged.
    private let state: Mutex<Current>
    /// Whose turn it is to arrange queries. The others wait for it: that is arithmetic alone, which waits for nobody.
    private let turn = DispatchSemaphore(value: 1)

    init(
        queries: [PreconditionedQuery], candidateCount: Int, isInHalfPrecision: Bool, control: SweepControl,
        form: @escaping @Sendable ([PreconditionedQuery], _ wantedShare: Double) -> ScoringForm
    ) {
        self.queries = queries
        self.candidateCount = candidateCount
        self.isInHalfPrecision = isInHalfPrecision
        self.control = control
        self.form = form
        state = Mutex(Current(generation: 0, queries: [], arranged: ScoringQueries([]), pairs: nil))
        let all = arranged(Array(queries.indices), generation: 0)
        state.withLock { $0 = all }
    }

    /// Looks at what has been cancelled.
    ///
    /// - Throws: ``QueryError/cancelled`` when no query is left.
    func current() throws -> Current {
        let now = state.withLock { $0 }
        let left = now.queries.filter { !control.isCancelled($0) }
        if left.count == now.queries.count, !left.isEmpty { return now }
        let next = left.isEmpty ? nil : rearranged(without: Set(now.queries).subtracting(left))
        guard let next, !next.queries.isEmpty else { throw QueryError.cancelled }
        return next
    }

    private func rearranged(without cancelled: Set<Int>) -> Current {
        turn.wait()
        defer { turn.signal() }
        let now = state.withLock { $0 }
        let left = now.queries.filter { !cancelled.contains($0) }
        // Another worker may have seen the same.
        guard left.count < now.queries.count else { return now }
        let next = arranged(left, generation: now.generation + 1)
        state.withLock { $0 = next }
        return next
    }

    private func arranged(_ left: [Int], generation: Int) -> Current {
        let pairs = control.wanted.flatMap { wanted in WantedPairs(left.map { wanted[$0] }, of: candidateCount) }
        let share = pairs.map { Double($0.count) / Double(max(left.count * candidateCount, 1)) } ?? 1
        let own = left.map { queries[$0] }
        return Current(
            generation: generation, queries: left,
            arranged: ScoringQueries(own, form: form(own, share), isInHalfPrecision: isInHalfPrecision), pairs: pairs)
    }
}
