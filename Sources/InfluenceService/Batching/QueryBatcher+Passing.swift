import Attribution
import Foundation

/// Passing jobs: queries that are answered while their asker waits, and of which nothing is written.
///
/// They have their turn among all others, and are shown while they wait and run, without what they ask. When they have ended, when
/// their asker has gone, or when the process has died, nothing is left of them.
extension QueryBatcher {
    /// Answers a query in its turn.
    ///
    /// - Returns: `nil` if the time is up, the calling task is cancelled or the server stops before there is an answer; the query
    ///   has then left the queue, or leaves the running sweep at its next micro-batch.
    /// - Throws: ``SubmissionError``.
    func answer(
        _ query: InfluenceQuery, asker: Asker?, within seconds: Double
    ) async throws(SubmissionError) -> QueryOutcome? {
        let id = try admit([query], asker)
        passing[id] = .awaited
        let now = Date().inMilliseconds
        store.board.show(
            passing: Job(
                id: id, status: .queued, isList: false, queryCount: 1, failedQueryCount: 0, created: now, attempts: 0,
                timings: JobTimings()))
        logger.info("query queued, of which nothing is kept", metadata: ["job_id": "\(id)"])
        enqueue(WaitingJob(id: id, queries: [query].waiting, attempts: 0, asker: asker?.id, isKept: false))
        await sleep(until: .end(of: id), seconds: seconds)
        defer { store.board.remove(passing: id) }
        if case .given(let outcome) = passing.removeValue(forKey: id) { return outcome }
        withdraw(id)
        return nil
    }

    /// Ends a passing job, whose asker is told so.
    ///
    /// - Returns: The job as it is now; `nil` if there is no such job.
    func cancelPassing(_ id: JobIdentifier) -> Job? {
        guard passing[id] == .awaited, var job = store.board.snapshot(of: id)?.job else { return nil }
        logger.info("job cancelled", metadata: ["job_id": "\(id)"])
        job.status = .cancelled
        job.finished = Date().inMilliseconds
        give(.failure(QueryFailure(.cancelled)), to: id)
        withdraw(id)
        return job
    }

    /// Hands the answers of a sweep to those who wait for them.
    func give(_ results: [JobOutcomes]) {
        for result in results where passing[result.id] == .awaited {
            if let outcome = result.outcomes[0] { give(outcome, to: result.id) }
            close(result.id)
        }
    }

    private func give(_ outcome: QueryOutcome, to id: JobIdentifier) {
        guard passing[id] == .awaited else { return }
        passing[id] = .given(outcome)
        store.board.remove(passing: id)
    }
}

/// What has become of a passing job.
enum PassingAnswer: Sendable, Equatable {
    case awaited
    /// It has ended, and its asker has yet to take the answer.
    case given(QueryOutcome)
}
