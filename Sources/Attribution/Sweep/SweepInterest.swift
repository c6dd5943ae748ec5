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
        /// Whether any of the queries wants a candidate; `nil` if all are wanted.
        var isWanted: [Bool]?

        func wants(_ candidate: Int) -> Bool { isWanted?[candidate] ?? true }
    }

    private let queries: [PreconditionedQuery]
    private let candidateCount: Int
    private let control: SweepControl
    private let state: Mutex<Current>

    init(queries: [PreconditionedQuery], candidateCount: Int, control: SweepControl) {
        self.queries = queries
        self.candidateCount = candidateCount
        self.control = control
        state = Mutex(
            Current(generation: 0, queries: Array(queries.indices), arranged: ScoringQueries(queries), isWanted: nil))
    }

    /// Looks at what has been cancelled.
    ///
    /// - Throws: ``QueryError/cancelled`` when no query is left.
    func current() throws -> Current {
        let now = state.withLock { state in
            let left = state.queries.filter { !control.isCancelled($0) }
            if left.count < state.queries.count {
                state.generation += 1
                state.queries = left
                state.arranged = ScoringQueries(left.map { queries[$0] })
                state.isWanted = wanted(by: left)
            }
            return state
        }
        guard !now.queries.isEmpty else { throw QueryError.cancelled }
        return now
    }

    private func wanted(by left: [Int]) -> [Bool]? {
        control.wanted.map { wanted in
            var isWanted = [Bool](repeating: false, count: candidateCount)
            for query in left { for candidate in wanted[query] { isWanted[candidate] = true } }
            return isWanted
        }
    }
}
