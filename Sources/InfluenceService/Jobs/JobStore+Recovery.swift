import Attribution
import Foundation
import GRDB

extension JobStore {
    /// Queues again the jobs that an earlier process left unfinished, without their queries that were done.
    ///
    /// A job during which the process died `maximumAttempts` times fails, because it may be the cause. An attempt in which its sweep's
    /// checkpoint grew does not count.
    ///
    /// - Parameter checkpointBytes: The length of a sweep's checkpoint; 0 if there is none.
    func recover(
        maximumAttempts: Int, at date: Date = Date(),
        checkpointBytes: @escaping @Sendable (_ sweep: String) -> Int = { _ in 0 }
    ) async throws -> Recovery {
        try await change { [self] database, changes in
            var recovery = Recovery(jobs: [], sweeps: [])
            try Self.findSweeps(in: database, checkpointBytes: checkpointBytes, &recovery)
            let abandoned = QueryFailure(
                kind: .abandoned, detail: "the server stopped \(maximumAttempts) times while it worked on this job")
            try database.execute(
                sql: """
                    UPDATE job SET status = 'failed', finished = ?, failure = ?, failed_query_count = query_count,
                        \(JobSchema.noStage)
                    WHERE status = 'running' AND attempts >= ?
                    """, arguments: [date.milliseconds, try jsonText(abandoned), maximumAttempts])
            try database.execute(
                sql: "UPDATE job SET status = 'queued', \(JobSchema.noStage) WHERE status = 'running'")
            let numbers = try Int64.fetchAll(
                database, sql: "SELECT number FROM job WHERE status = 'queued' ORDER BY number")
            for number in numbers {
                try queueAgain(number, at: date, in: database, &recovery, &changes)
            }
            return recovery
        }
    }

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
                members = try decoded(jsonText: row["members"])
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

    private func queueAgain(
        _ number: Int64, at date: Date, in database: Database, _ recovery: inout Recovery, _ changes: inout JobChanges
    ) throws {
        guard
            let row = try Row.fetchOne(
                database, sql: "SELECT \(JobSchema.jobColumns), request, asker FROM job WHERE number = ?",
                arguments: [number])
        else { return }
        do {
            let job = try Job(row: row, file: file)
            let queries: [InfluenceQuery] = try decoded(jsonText: row["request"])
            let finished = try Self.finishedQueries(of: number, in: database)
            let done = Set(finished.map(\.position))
            let remaining = queries.waiting.filter { !done.contains($0.position) }
            guard !remaining.isEmpty else { throw UnreadableJob.noQueries }
            changes.add(job.id, queries: queries, finished: finished)
            recovery.jobs.append(
                WaitingJob(id: job.id, queries: remaining, attempts: row["attempts"], asker: row["asker"]))
        } catch let error as DatabaseError {
            throw error
        } catch {
            recovery.faults.append(.job(id: row["id"], reason: "\(error)"))
            let failure = QueryFailure(ofUnusableJob: error)
            try database.execute(
                sql: """
                    UPDATE job SET status = 'failed', finished = ?, failure = ?, failed_query_count = query_count,
                        timings = ?, \(JobSchema.noStage)
                    WHERE number = ?
                    """, arguments: [date.milliseconds, try jsonText(failure), try jsonText(JobTimings()), number])
        }
    }

    private enum UnreadableJob: Error {
        /// Each query has an outcome, but the job has not ended.
        case noQueries
    }
}

/// The record of a sweep, which is kept until the sweep has ended.
struct StartedSweep: Sendable, Equatable {
    var members: [SweepMember]
    /// The length of its checkpoint when it began: if it was longer when the process died, the sweep had advanced.
    var checkpointBytes: Int
}

/// The queries of one job that take part in a sweep.
struct SweepMember: Sendable, Equatable, Codable {
    var job: String
    /// The queries' indices in the job's request.
    var positions: [Int]
}

struct InterruptedSweep: Sendable, Equatable {
    /// The id of its ``JobTimings/Batch``.
    var id: String
    var members: [SweepMember]
}

/// The jobs and sweeps that an earlier process left unfinished.
struct Recovery: Sendable, Equatable {
    /// The queued jobs, in the order of their arrival.
    var jobs: [WaitingJob]
    /// The unfinished sweeps, in the order in which they began.
    var sweeps: [InterruptedSweep]
    /// Records that could not be read, and were replaced or failed.
    var faults: [RecoveryFault] = []
}

/// A record of an earlier process that cannot be read.
enum RecoveryFault: Sendable, Equatable {
    /// The sweep's queries are unknown: they are in the queue, and are swept from the start.
    case sweep(id: String, reason: String)
    /// The job has failed, with this reason.
    case job(id: String, reason: String)
}
