import Attribution
import Foundation
import GRDB

/// A job with queries that wait for a sweep.
struct WaitingJob: Sendable, Equatable {
    var id: JobIdentifier
    /// Those that are not done.
    var queries: [WaitingQuery]
    var attempts: Int
}

struct WaitingQuery: Sendable, Equatable {
    /// In the request, from 0.
    var position: Int
    var query: InfluenceQuery
}

/// What one sweep did for one job.
struct JobOutcomes: Sendable {
    var id: JobIdentifier
    /// By position in the request.
    var outcomes: [Int: QueryOutcome]
    /// How long the sweep was in each stage.
    var seconds: [InfluenceProgress.Stage: Double]
}

/// A job's journey: queued, running, and one of the three ends.
extension JobStore {
    /// Queues again what a process that has ended left unfinished, less the queries that were done.
    ///
    /// A job that was running as many as `maximumAttempts` times when its process died has failed: it may be what kills it.
    ///
    /// - Returns: The queued jobs, in the order of their arrival.
    func recover(maximumAttempts: Int, at date: Date = Date()) async throws -> [WaitingJob] {
        try await write { database in
            let abandoned = QueryFailure(
                kind: .abandoned, detail: "the server stopped \(maximumAttempts) times while it worked on this job")
            try database.execute(
                sql: """
                    UPDATE job SET status = 'failed', finished = ?, failure = ?, failed_query_count = query_count,
                        stage = NULL, done = NULL, total = NULL
                    WHERE status = 'running' AND attempts >= ?
                    """, arguments: [date.milliseconds, try jsonText(abandoned), maximumAttempts])
            try database.execute(
                sql:
                    "UPDATE job SET status = 'queued', stage = NULL, done = NULL, total = NULL WHERE status = 'running'"
            )
            let rows = try Row.fetchAll(
                database, sql: "SELECT number, id, attempts, request FROM job WHERE status = 'queued' ORDER BY number")
            return try rows.compactMap { try Self.waitingJob($0, at: date, in: database) }
        }
    }

    private static func waitingJob(_ row: Row, at date: Date, in database: Database) throws -> WaitingJob? {
        let number: Int64 = row["number"]
        let request = Data((row["request"] as String).utf8)
        guard let id = JobIdentifier(row["id"] as String),
            let queries = try? JSONDecoder().decode([InfluenceQuery].self, from: request)
        else {
            let failure = QueryFailure(
                kind: .failed, detail: "this version of the server cannot read the job: post it again")
            try database.execute(
                sql: "UPDATE job SET status = 'failed', finished = ?, failure = ? WHERE number = ?",
                arguments: [date.milliseconds, try jsonText(failure), number])
            return nil
        }
        let done = try Set(
            Int.fetchAll(database, sql: "SELECT position FROM outcome WHERE job = ?", arguments: [number]))
        let left = queries.enumerated().map { WaitingQuery(position: $0.offset, query: $0.element) }
        return WaitingJob(
            id: id, queries: left.filter { !done.contains($0.position) }, attempts: row["attempts"])
    }

    /// Marks jobs as running.
    ///
    /// - Returns: Those that were queued or running; one cancelled in the meantime is left out.
    func start(
        _ ids: [JobIdentifier], batch: JobTimings.Batch, at date: Date = Date()
    ) async throws -> Set<JobIdentifier> {
        try await write { [file] database in
            var started: Set<JobIdentifier> = []
            for id in ids {
                guard var job = try Self.openJob(id, in: database, file: file) else { continue }
                job.timings.batch = batch
                job.timings.sweeps += 1
                if job.started == nil { job.timings.queue = max(0, date.timeIntervalSince(job.created)) }
                try database.execute(
                    sql: """
                        UPDATE job SET status = 'running', started = coalesce(started, ?), timings = ?,
                            attempts = attempts + (status = 'queued')
                        WHERE id = ?
                        """, arguments: [date.milliseconds, try jsonText(job.timings), id.description])
                started.insert(id)
            }
            return started
        }
    }

    /// Notes how far running jobs have come.
    func note(_ progress: InfluenceProgress, of ids: [JobIdentifier]) async throws {
        try await write { database in
            for id in ids {
                try database.execute(
                    sql: "UPDATE job SET stage = ?, done = ?, total = ? WHERE id = ? AND status = 'running'",
                    arguments: [progress.stage.rawValue, progress.done, progress.total, id.description])
            }
        }
    }

    /// Keeps what a sweep found, and ends the jobs of which all queries are done. Jobs that were cancelled are left alone.
    func record(_ results: [JobOutcomes], at date: Date = Date()) async throws {
        try await write { [file] database in
            for result in results {
                guard var job = try Self.openJob(result.id, in: database, file: file) else { continue }
                for (position, outcome) in result.outcomes {
                    try database.execute(
                        sql: """
                            INSERT OR REPLACE INTO outcome (job, position, succeeded, body)
                            SELECT number, ?, ?, ? FROM job WHERE id = ?
                            """, arguments: [position, outcome.isSuccess, try outcome.body(), job.id.description])
                }
                job.timings.add(result.seconds)
                try Self.save(&job, at: date, in: database)
            }
        }
    }

    /// Writes a running job after a sweep; ends it if all its queries are done.
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
                    stage = NULL, done = NULL, total = NULL
                WHERE id = ?
                """,
            arguments: [
                job.status.rawValue, job.finished?.milliseconds, job.failedQueryCount,
                try job.failure.map { try jsonText($0) }, try jsonText(job.timings), job.id.description,
            ])
    }

    /// Ends a job that has not ended.
    ///
    /// - Returns: The job as it is now, and whether this call ended it; `nil` if there is none of that id.
    func cancel(_ id: JobIdentifier, at date: Date = Date()) async throws -> (job: Job, didCancel: Bool)? {
        let didCancel = try await write { database in
            try database.execute(
                sql: """
                    UPDATE job SET status = 'cancelled', finished = ?, stage = NULL, done = NULL, total = NULL
                    WHERE id = ? AND status IN ('queued', 'running')
                    """, arguments: [date.milliseconds, id.description])
            let didCancel = database.changesCount > 0
            if didCancel {
                try database.execute(
                    sql: "DELETE FROM outcome WHERE job = (SELECT number FROM job WHERE id = ?)",
                    arguments: [id.description])
            }
            return didCancel
        }
        return try await job(id).map { ($0, didCancel) }
    }

    /// Puts running jobs back into the queue for the next start, as if this one had not been: the server stops on purpose.
    func putBack(_ ids: [JobIdentifier]) async throws {
        try await write { database in
            for id in ids {
                try database.execute(
                    sql: """
                        UPDATE job SET status = 'queued', attempts = max(0, attempts - 1), stage = NULL, done = NULL,
                            total = NULL
                        WHERE id = ? AND status = 'running'
                        """, arguments: [id.description])
            }
        }
    }

    /// Forgets ended jobs and their results: those beyond the newest `keepCount`, and those that ended before `oldest`.
    ///
    /// - Returns: How many were forgotten.
    @discardableResult
    func expire(keepCount: Int, endedBefore oldest: Date) async throws -> Int {
        try await write { database in
            try database.execute(
                sql: """
                    DELETE FROM job WHERE finished < ? OR number IN (
                        SELECT number FROM job WHERE finished IS NOT NULL
                        ORDER BY finished DESC, number DESC LIMIT -1 OFFSET ?)
                    """, arguments: [oldest.milliseconds, keepCount])
            return database.changesCount
        }
    }

    /// A job that has not ended.
    private static func openJob(_ id: JobIdentifier, in database: Database, file: String) throws -> Job? {
        try Row.fetchOne(
            database,
            sql: "SELECT \(JobSchema.jobColumns) FROM job WHERE id = ? AND status IN ('queued', 'running')",
            arguments: [id.description]
        ).map { try Job(row: $0, file: file) }
    }
}
