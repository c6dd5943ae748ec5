import Attribution
import Foundation
import GRDB

/// The states of a job: queued, running, and one of three final ones.
extension JobStore {
    /// Marks jobs as running, and records which of their queries the sweep has, so that it can be resumed.
    ///
    /// - Parameter sweep: The queries of the sweep; `nil` if it will not be resumed.
    /// - Returns: The jobs that were queued or running, without those that were cancelled meanwhile.
    func start(
        _ ids: [JobIdentifier], batch: JobTimings.Batch, sweep: StartedSweep? = nil, at date: Date = Date()
    ) async throws -> Set<JobIdentifier> {
        try await change { [file] database, changes in
            var started: Set<JobIdentifier> = []
            for id in ids {
                guard var job = try Self.openJob(id, in: database, file: file) else { continue }
                job.begin(in: batch, at: date)
                try database.execute(
                    sql: """
                        UPDATE job SET status = 'running', started = coalesce(started, ?), timings = ?,
                            attempts = attempts + (status = 'queued')
                        WHERE id = ?
                        """, arguments: [date.milliseconds, try jsonText(job.timings), id.description])
                started.insert(id)
                changes.add(id)
            }
            if let sweep {
                try database.execute(
                    sql: "INSERT OR REPLACE INTO sweep (id, members, checkpoint_bytes) VALUES (?, ?, ?)",
                    arguments: [batch.id, try jsonText(sweep.members), sweep.checkpointBytes])
            }
            return started
        }
    }

    func note(_ progress: InfluenceProgress, of ids: [JobIdentifier]) async throws {
        try await change { database, _ in
            for id in ids {
                try database.execute(
                    sql: "UPDATE job SET stage = ?, done = ?, total = ? WHERE id = ? AND status = 'running'",
                    arguments: [progress.stage.rawValue, progress.done, progress.total, id.description])
            }
        }
    }

    /// Writes the outcomes of a sweep, and ends the jobs whose queries are all done. Cancelled jobs do not change.
    ///
    /// - Parameter sweep: The sweep's id if it has ended and will not be resumed.
    func record(_ results: [JobOutcomes], ending sweep: String? = nil, at date: Date = Date()) async throws {
        try await change { [file] database, changes in
            if let sweep { try database.execute(sql: "DELETE FROM sweep WHERE id = ?", arguments: [sweep]) }
            for result in results {
                guard var job = try Self.openJob(result.id, in: database, file: file) else { continue }
                for (position, outcome) in result.outcomes {
                    try database.execute(
                        sql: """
                            INSERT OR REPLACE INTO outcome (job, position, succeeded, body)
                            SELECT number, ?, ?, ? FROM job WHERE id = ?
                            """, arguments: [position, outcome.isSuccess, try outcome.body(), job.id.description])
                    if let scores = result.allScores[position] {
                        try Self.write(scores, of: job.id, at: position, in: database)
                    }
                }
                job.timings.add(result.seconds)
                try Self.save(&job, at: date, in: database)
                changes.add(
                    result.id,
                    finished: result.outcomes.sorted { $0.key < $1.key }.map {
                        FinishedQuery(position: $0.key, failure: $0.value.failure)
                    })
            }
        }
    }

    private static func save(_ job: inout Job, at date: Date, in database: Database) throws {
        let failures = try Data.fetchAll(
            database,
            sql: """
                SELECT body FROM outcome JOIN job ON job.number = outcome.job
                WHERE id = ? AND NOT succeeded ORDER BY position
                """, arguments: [job.id.description])
        let done = try Int.fetchOne(
            database, sql: "SELECT count(*) FROM outcome JOIN job ON job.number = outcome.job WHERE id = ?",
            arguments: [job.id.description])
        job.failedQueryCount = failures.count
        job.failure = try failures.first.map { try JSONDecoder().decode(QueryFailure.self, from: $0) }
        if done == job.queryCount {
            job.status = job.failedQueryCount == job.queryCount ? .failed : .succeeded
            job.finished = date
            job.timings.total = max(0, date.timeIntervalSince(job.created))
        }
        try database.execute(
            sql: """
                UPDATE job SET status = ?, finished = ?, failed_query_count = ?, failure = ?, timings = ?,
                    \(JobSchema.noStage),
                    result_bytes = (SELECT coalesce(sum(length(body)), 0) FROM outcome WHERE job = number)
                        + (SELECT coalesce(sum(length(rowids) + length(scores) + length(rescored)), 0)
                            FROM candidate_scores WHERE job = number)
                WHERE id = ?
                """,
            arguments: [
                job.status.rawValue, job.finished?.milliseconds, job.failedQueryCount,
                try job.failure.map { try jsonText($0) }, try jsonText(job.timings), job.id.description,
            ])
    }

    /// Ends a job that has not ended.
    ///
    /// - Returns: The job as it is now, and whether this call ended it; `nil` if there is no such job.
    func cancel(_ id: JobIdentifier, at date: Date = Date()) async throws -> (job: Job, didCancel: Bool)? {
        let didCancel = try await change { database, changes in
            try database.execute(
                sql: """
                    UPDATE job SET status = 'cancelled', finished = ?, \(JobSchema.noStage), result_bytes = 0
                    WHERE id = ? AND status IN ('queued', 'running')
                    """, arguments: [date.milliseconds, id.description])
            let didCancel = database.changesCount > 0
            if didCancel {
                changes.add(id)
                for table in ["outcome", "candidate_scores"] {
                    try database.execute(
                        sql: "DELETE FROM \(table) WHERE job = (SELECT number FROM job WHERE id = ?)",
                        arguments: [id.description])
                }
            }
            return didCancel
        }
        return try await job(id).map { ($0, didCancel) }
    }

    /// Puts running jobs back into the queue for the next start. Because the server stops on purpose, the interrupted run does not count as
    /// an attempt.
    func putBack(_ ids: [JobIdentifier]) async throws {
        try await change { database, changes in
            for id in ids {
                changes.add(id)
                try database.execute(
                    sql: """
                        UPDATE job SET status = 'queued', attempts = max(0, attempts - 1), \(JobSchema.noStage)
                        WHERE id = ? AND status = 'running'
                        """, arguments: [id.description])
            }
        }
    }

    private static func openJob(_ id: JobIdentifier, in database: Database, file: String) throws -> Job? {
        try Job.fetch(id, where: "status IN ('queued', 'running')", in: database, file: file)
    }
}
