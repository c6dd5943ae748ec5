import Attribution
import Foundation
import GRDB

extension JobStore {
    /// Queues again what a process that has ended left unfinished, less the queries that were done.
    ///
    /// A job that was running as many as `maximumAttempts` times when its process died has failed: it may be what kills it. A
    /// time in which its sweep's checkpoint grew does not count.
    ///
    /// - Parameter checkpointBytes: The length of a sweep's checkpoint; 0 if there is none.
    func recover(
        maximumAttempts: Int, at date: Date = Date(),
        checkpointBytes: @escaping @Sendable (_ sweep: String) -> Int = { _ in 0 }
    ) async throws -> Recovery {
        try await change { database, changes in
            let sweeps = try Self.interruptedSweeps(in: database, checkpointBytes: checkpointBytes)
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
                database,
                sql: "SELECT number, id, attempts, request, asker FROM job WHERE status = 'queued' ORDER BY number")
            let jobs = try rows.compactMap { try Self.waitingJob($0, at: date, in: database, &changes) }
            return Recovery(jobs: jobs, sweeps: sweeps)
        }
    }

    /// Forgets that a sweep had begun: it will not be taken up.
    func forget(sweep: String) async throws {
        try await change { database, _ in
            try database.execute(sql: "DELETE FROM sweep WHERE id = ?", arguments: [sweep])
        }
    }

    private static func interruptedSweeps(
        in database: Database, checkpointBytes: (String) -> Int
    ) throws -> [InterruptedSweep] {
        try Row.fetchAll(database, sql: "SELECT id, members, checkpoint_bytes FROM sweep ORDER BY rowid").compactMap {
            row -> InterruptedSweep? in
            let id: String = row["id"]
            let text = Data((row["members"] as String).utf8)
            guard let members = try? JSONDecoder().decode([SweepMember].self, from: text) else { return nil }
            if checkpointBytes(id) > row["checkpoint_bytes"] as Int {
                for member in members {
                    try database.execute(
                        sql: "UPDATE job SET attempts = max(0, attempts - 1) WHERE id = ? AND status = 'running'",
                        arguments: [member.job])
                }
            }
            return InterruptedSweep(id: id, members: members)
        }
    }

    private static func waitingJob(
        _ row: Row, at date: Date, in database: Database, _ changes: inout JobChanges
    ) throws -> WaitingJob? {
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
        let finished = try finishedQueries(of: number, in: database)
        changes.add(id, queries: queries, finished: finished)
        let done = Set(finished.map(\.position))
        let left = queries.enumerated().map { WaitingQuery(position: $0.offset, query: $0.element) }
        return WaitingJob(
            id: id, queries: left.filter { !done.contains($0.position) }, attempts: row["attempts"],
            asker: row["asker"])
    }

    static func finishedQueries(of number: Int64, in database: Database) throws -> [FinishedQuery] {
        try Row.fetchAll(
            database,
            sql:
                "SELECT position, CASE WHEN succeeded THEN NULL ELSE body END AS failure FROM outcome WHERE job = ? ORDER BY position",
            arguments: [number]
        ).map { row in
            FinishedQuery(
                position: row["position"],
                failure: try (row["failure"] as Data?).map { try JSONDecoder().decode(QueryFailure.self, from: $0) })
        }
    }

    /// A job as clients see it, with its queries, or `nil` if there is none of that id.
    ///
    /// From memory where it can be; a job that has ended stays there for a while once it was asked for.
    func snapshot(of id: JobIdentifier) async throws -> JobSnapshot? {
        if let shown = board.snapshot(of: id) { return shown }
        let forgotten = board.forgottenCount
        let found = try await read { [file] database -> JobSnapshot? in
            guard
                let row = try Row.fetchOne(
                    database, sql: "SELECT \(JobSchema.jobColumns), request FROM job WHERE id = ?",
                    arguments: [id.description])
            else { return nil }
            // A request that this version cannot read is no reason not to show the job.
            let queries = try? JSONDecoder().decode([InfluenceQuery].self, from: Data((row["request"] as String).utf8))
            return JobSnapshot(
                job: try Job(row: row, file: file), queries: queries ?? [],
                finished: try Self.finishedQueries(of: row["number"], in: database))
        }
        if let found, found.job.status.isFinal { board.show(ended: found, ifForgotten: forgotten) }
        return found
    }
}
