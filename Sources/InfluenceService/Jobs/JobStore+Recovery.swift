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
        try await change { [file] database, changes in
            var recovery = Recovery(jobs: [], sweeps: [])
            try Self.findSweeps(in: database, checkpointBytes: checkpointBytes, &recovery)
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
            let numbers = try Int64.fetchAll(
                database, sql: "SELECT number FROM job WHERE status = 'queued' ORDER BY number")
            for number in numbers {
                try Self.queueAgain(number, of: file, at: date, in: database, &recovery, &changes)
            }
            return recovery
        }
    }

    /// Forgets that a sweep had begun: it will not be taken up.
    func forget(sweep: String) async throws {
        try await change { database, _ in
            try database.execute(sql: "DELETE FROM sweep WHERE id = ?", arguments: [sweep])
        }
    }

    private static func findSweeps(
        in database: Database, checkpointBytes: (String) -> Int, _ recovery: inout Recovery
    ) throws {
        for row in try Row.fetchAll(database, sql: "SELECT id, members, checkpoint_bytes FROM sweep ORDER BY rowid") {
            let id: String = row["id"]
            let members: [SweepMember]
            do {
                members = try JSONDecoder().decode([SweepMember].self, from: Data((row["members"] as String).utf8))
            } catch {
                try database.execute(sql: "DELETE FROM sweep WHERE id = ?", arguments: [id])
                recovery.faults.append(.sweep(id: id, reason: "\(error)"))
                continue
            }
            if checkpointBytes(id) > row["checkpoint_bytes"] as Int {
                for member in members {
                    try database.execute(
                        sql: "UPDATE job SET attempts = max(0, attempts - 1) WHERE id = ? AND status = 'running'",
                        arguments: [member.job])
                }
            }
            recovery.sweeps.append(InterruptedSweep(id: id, members: members))
        }
    }

    /// Queues a job again, or has it fail where it cannot be read.
    private static func queueAgain(
        _ number: Int64, of file: String, at date: Date, in database: Database, _ recovery: inout Recovery,
        _ changes: inout JobChanges
    ) throws {
        guard
            let row = try Row.fetchOne(
                database, sql: "SELECT \(JobSchema.jobColumns), request, asker FROM job WHERE number = ?",
                arguments: [number])
        else { return }
        do {
            let job = try Job(row: row, file: file)
            let request = Data((row["request"] as String).utf8)
            let queries = try JSONDecoder().decode([InfluenceQuery].self, from: request)
            let finished = try finishedQueries(of: number, in: database)
            let done = Set(finished.map(\.position))
            let left = queries.waiting.filter { !done.contains($0.position) }
            guard !left.isEmpty else { throw UnreadableJob.nothingLeft }
            changes.add(job.id, queries: queries, finished: finished)
            recovery.jobs.append(
                WaitingJob(id: job.id, queries: left, attempts: row["attempts"], asker: row["asker"]))
        } catch let error as DatabaseError {
            throw error
        } catch {
            recovery.faults.append(.job(id: row["id"], reason: "\(error)"))
            let failure = QueryFailure(ofUnusableJob: error)
            try database.execute(
                sql: """
                    UPDATE job SET status = 'failed', finished = ?, failure = ?, failed_query_count = query_count,
                        timings = ?, stage = NULL, done = NULL, total = NULL
                    WHERE number = ?
                    """, arguments: [date.milliseconds, try jsonText(failure), try jsonText(JobTimings()), number])
        }
    }

    private enum UnreadableJob: Error {
        /// Each query has an outcome, and the job has not ended.
        case nothingLeft
    }
}

/// What a sweep is made of, as it is kept until the sweep has ended.
struct StartedSweep: Sendable, Equatable {
    var members: [SweepMember]
    /// How long its checkpoint was when it began: if it was longer when the process died, the sweep had come on.
    var checkpointBytes: Int
}

/// The queries of one job that take part in a sweep.
struct SweepMember: Sendable, Equatable, Codable {
    var job: String
    /// In the job's request, from 0.
    var positions: [Int]
}

/// A sweep that had begun when the process ended.
struct InterruptedSweep: Sendable, Equatable {
    /// That of its ``JobTimings/Batch``.
    var id: String
    var members: [SweepMember]
}

/// What an earlier process left unfinished.
struct Recovery: Sendable, Equatable {
    /// The queued jobs, in the order of their arrival.
    var jobs: [WaitingJob]
    /// In the order of their beginning.
    var sweeps: [InterruptedSweep]
    /// What could not be read, and has been dealt with otherwise.
    var faults: [RecoveryFault] = []
}

/// Something that a process left behind and that cannot be read.
enum RecoveryFault: Sendable, Equatable {
    /// What the sweep is made of is not known: its queries are in the queue, and are swept from the start.
    case sweep(id: String, reason: String)
    /// The job has failed, and says why.
    case job(id: String, reason: String)
}
