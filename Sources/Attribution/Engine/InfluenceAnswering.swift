import Curvature

/// All that a service needs from its engine, or from a stand-in for the engine in tests.
public typealias ServiceEngine = InfluenceAnswering & CorpusBrowsing & SequenceIngesting & CompletionGenerating
    & ModelDescribing

/// Answers influence queries.
public protocol InfluenceAnswering: Sendable {
    /// Checks, without computing gradients, that a query can be answered.
    ///
    /// - Throws: ``QueryError`` that names the field at fault.
    func validate(_ query: InfluenceQuery) throws

    /// Answers queries together, with one sweep over the union of their candidates.
    ///
    /// Blocks the calling thread. The workers run on Dispatch, or on threads of their own if they yield to others (``Workers/niceness``).
    ///
    /// - Parameters:
    ///   - queries: At least one.
    ///   - checkpoint: Where scores are kept in case the process dies before the queries are answered.
    ///   - control: A sweep goes on without a cancelled query from the next micro-batch, and ends when all queries are cancelled.
    /// - Returns: One result per query, in order. A query that fails does not affect the others.
    func answer(
        _ queries: [InfluenceQuery], checkpoint: (any SweepCheckpoint)?, control: WorkControl<InfluenceProgress>
    ) -> [Result<InfluenceResult, QueryError>]
}

extension InfluenceAnswering {
    public func answer(
        _ queries: [InfluenceQuery], checkpoint: (any SweepCheckpoint)? = nil
    ) -> [Result<InfluenceResult, QueryError>] {
        answer(queries, checkpoint: checkpoint, control: WorkControl())
    }

    public func answer(
        _ queries: [InfluenceQuery], control: WorkControl<InfluenceProgress>
    ) -> [Result<InfluenceResult, QueryError>] {
        answer(queries, checkpoint: nil, control: control)
    }
}
