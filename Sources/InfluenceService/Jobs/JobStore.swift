import Attribution
import Foundation
import GRDB

/// Jobs and their results, in a SQLite database that survives the death of the process at any moment.
///
/// A job is on disk when ``add(_:isList:id:key:asker:at:)`` returns. The methods suspend, and never block a thread of Swift's pool. All of
/// them throw ``JobStoreError``.
final class JobStore: Sendable {
    let database: DatabasePool
    let file: String
    let board = JobBoard()
    /// Why an earlier version's database cannot free the disk space of deleted jobs; `nil` if it can.
    let rewritingFailure: String?

    /// Opens the database, or creates it. Blocks the thread meanwhile.
    ///
    /// - Throws: ``JobStoreError/cannotOpen(file:reason:)``, ``JobStoreError/newerFormat(file:)``.
    init(file: URL) throws(JobStoreError) {
        self.file = file.path
        do {
            var configuration = GRDB.Configuration()
            configuration.label = "jobs"
            configuration.busyMode = .timeout(5)
            configuration.prepareDatabase(Self.prepareForCompaction)
            database = try DatabasePool(path: file.path, configuration: configuration)
            // GRDB opens in WAL mode with synchronous = NORMAL, which syncs only at checkpoints: a power failure could lose a commit
            // (sqlite.org/pragma.html#pragma_synchronous). An acknowledged job must not be lost.
            try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            guard try !database.read(JobSchema.migrator.hasBeenSuperseded) else {
                throw JobStoreError.newerFormat(file: file.path)
            }
            try JobSchema.migrator.migrate(database)
            rewritingFailure = Self.rewriteForCompaction(database)
        } catch let error as JobStoreError {
            throw error
        } catch let error as DatabaseError {
            throw .cannotOpen(file: file.path, reason: error.message ?? error.description)
        } catch {
            throw .cannotOpen(file: file.path, reason: error.localizedDescription)
        }
    }

    // MARK: - Adding and reading

    /// Writes a new, queued job. It is committed and synced when this returns.
    ///
    /// - Parameters:
    ///   - queries: At least one.
    ///   - key: A request with the key of an earlier request creates no second job.
    ///   - asker: The ``Asker/id`` of the client.
    /// - Throws: ``SubmissionError/keyReused`` if the earlier request was a different one.
    func add(
        _ queries: [InfluenceQuery], isList: Bool, id: JobIdentifier = JobIdentifier(), key: IdempotencyKey?,
        asker: String? = nil, at date: Date = Date()
    ) async throws -> Submission {
        let job = Job(
            id: id, status: .queued, isList: isList, queryCount: queries.count, title: JobTitle(queries),
            failedQueryCount: 0, created: date.inMilliseconds, attempts: 0, timings: JobTimings())
        return try await change { [file] database, changes in
            if let key, let earlier = try Self.job(for: key, in: database, file: file) {
                return Submission(job: earlier, isReplay: true)
            }
            let request = try jsonText(queries)
            try database.execute(
                sql: """
                    INSERT INTO job (id, status, is_list, query_count, title, created, timings, request, request_bytes,
                        key_owner, idempotency_key, request_digest, asker)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    id.description, job.status.rawValue, isList, queries.count,
                    try job.title.map { try jsonText($0) }, job.created.milliseconds, try jsonText(job.timings),
                    request, request.utf8.count, key?.owner ?? "", key?.text, key?.requestDigest, asker,
                ])
            changes.add(id, queries: queries)
            return Submission(job: job, isReplay: false)
        }
    }

    func job(_ id: JobIdentifier) async throws -> Job? {
        try await read { [file] database in try Job.fetch(id, in: database, file: file) }
    }

    /// The queries of a job as the server understood them; `nil` if there is no such job.
    func queries(of id: JobIdentifier) async throws -> [InfluenceQuery]? {
        try await read { database in
            try String.fetchOne(
                database, sql: "SELECT request FROM job WHERE id = ?", arguments: [id.description]
            ).map { try decoded(jsonText: $0) }
        }
    }

    /// Jobs from the newest to the oldest.
    ///
    /// - Parameters:
    ///   - withFailures: Only jobs of which a query failed, whatever their status.
    ///   - cursor: The ``JobPage/next`` of the previous page.
    func jobs(
        status: Job.Status? = nil, withFailures: Bool = false, limit: Int, after cursor: Int64? = nil
    ) async throws -> JobPage {
        try await read { [file] database in
            var conditions = ["number < ?"]
            var arguments: StatementArguments = [cursor ?? Int64.max]
            if let status {
                conditions.append("status = ?")
                arguments += [status.rawValue]
            }
            if withFailures { conditions.append("(failed_query_count > 0 OR status = 'failed')") }
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT \(JobSchema.jobColumns) FROM job WHERE \(conditions.joined(separator: " AND "))
                    ORDER BY number DESC LIMIT ?
                    """,
                arguments: arguments + [limit + 1])
            let shown = rows.prefix(limit)
            return JobPage(
                jobs: try shown.map { try Job(row: $0, file: file) },
                next: rows.count > limit ? shown.last.map { $0["number"] } : nil)
        }
    }

    /// The outcomes of a job's queries that are done, in the order of the queries.
    func outcomes(of id: JobIdentifier) async throws -> [QueryOutcome] {
        try await read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT succeeded, body FROM outcome JOIN job ON job.number = outcome.job
                    WHERE id = ? ORDER BY position
                    """, arguments: [id.description]
            ).map(QueryOutcome.init)
        }
    }

    /// The outcome of one of a job's queries, by its index in the request; `nil` if it is not done, or there is no such job.
    func outcome(of id: JobIdentifier, at position: Int) async throws -> QueryOutcome? {
        try await read { database in
            try Row.fetchOne(
                database,
                sql: """
                    SELECT succeeded, body FROM outcome JOIN job ON job.number = outcome.job
                    WHERE id = ? AND position = ?
                    """, arguments: [id.description, position]
            ).map(QueryOutcome.init)
        }
    }

    /// The size of a job's result; `nil` if there is no such job.
    func resultSize(of id: JobIdentifier) async throws -> ResultSize? {
        try await read { database in
            try Row.fetchOne(
                database,
                sql: """
                    SELECT request_bytes, result_bytes, count(body) AS outcomes, coalesce(max(length(body)), 0) AS largest
                    FROM job LEFT JOIN outcome ON outcome.job = job.number WHERE id = ? GROUP BY job.number
                    """, arguments: [id.description]
            ).map { row in
                ResultSize(
                    request: row["request_bytes"], all: row["request_bytes"] + row["result_bytes"],
                    largestOutcome: row["largest"], outcomes: row["outcomes"])
            }
        }
    }

    func jobCounts() async throws -> [Job.Status: Int] {
        try await read { database in
            let rows = try Row.fetchAll(database, sql: "SELECT status, COUNT(*) FROM job GROUP BY status")
            let pairs = rows.compactMap { row in Job.Status(rawValue: row[0]).map { ($0, row[1] as Int) } }
            return Dictionary(uniqueKeysWithValues: pairs)
        }
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

    /// A job as clients see it, with its queries; `nil` if there is no such job.
    ///
    /// It comes from the board if possible, and an ended job stays on the board for a while after this.
    func snapshot(of id: JobIdentifier) async throws -> JobSnapshot? {
        if let shown = board.snapshot(of: id) { return shown }
        let forgotten = board.forgottenCount
        let found = try await read { [file] database -> JobSnapshot? in
            guard
                let row = try Row.fetchOne(
                    database, sql: "SELECT \(JobSchema.jobColumns), request FROM job WHERE id = ?",
                    arguments: [id.description])
            else { return nil }
            // The job can be shown even if this version cannot read its request.
            let queries = try? decoded(jsonText: row["request"]) as [InfluenceQuery]
            return JobSnapshot(
                job: try Job(row: row, file: file), queries: queries ?? [],
                finished: try Self.finishedQueries(of: row["number"], in: database))
        }
        if let found, found.job.status.isFinal { board.show(ended: found, ifForgotten: forgotten) }
        return found
    }

    // MARK: - Access

    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await describingErrors { try await database.read(body) }
    }

    /// Writes, and after the commit shows the changed jobs on the board.
    func change<Value: Sendable>(
        _ body: @escaping @Sendable (Database, inout JobChanges) throws -> Value
    ) async throws -> Value {
        try await describingErrors {
            let (value, changes) = try await database.write { [file, board] database in
                var changes = JobChanges()
                let value = try body(database, &changes)
                // Writes run one by one, so the numbers increase in the order of the commits.
                try changes.read(in: database, file: file, number: board.nextChange())
                return (value, changes)
            }
            board.show(changes)
            return value
        }
    }

    /// Writes the log into the database, and truncates it.
    func checkpoint() async throws {
        try await describingErrors {
            try await database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) }
        }
    }

    private func describingErrors<Value: Sendable>(
        _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch let error where error is CancellationError || error is SubmissionError {
            throw error
        } catch {
            throw JobStoreError(error, file: file)
        }
    }
}

struct JobPage: Sendable, Equatable {
    var jobs: [Job]
    var next: Int64?
}

/// The size of a job's result, in bytes of JSON.
struct ResultSize: Sendable, Equatable {
    var request: Int
    /// The size of the request and all outcomes together.
    var all: Int
    var largestOutcome: Int
    var outcomes: Int
}

enum JobStoreError: Error, Equatable, CustomStringConvertible {
    case cannotOpen(file: String, reason: String)
    /// A later version of Tributary has written the file.
    case newerFormat(file: String)
    case diskFull(file: String)
    case failed(file: String, reason: String)

    var description: String {
        switch self {
        case .cannotOpen(let file, let reason):
            "\(file): the job database cannot be opened: \(reason)"
        case .newerFormat(let file):
            "\(file): a newer version of Tributary has written these jobs: use that version, or another workspace"
        case .diskFull(let file):
            "\(file): the disk is full: free some space on it"
        case .failed(let file, let reason):
            "\(file): the job database failed: \(reason)"
        }
    }

    init(_ error: any Error, file: String) {
        switch error {
        case let error as JobStoreError: self = error
        // The connections' shared memory is a file: a full disk is noticed there first, with a code of its own.
        case let error as DatabaseError
        where error.resultCode == .SQLITE_FULL || error.extendedResultCode == .SQLITE_IOERR_SHMSIZE:
            self = .diskFull(file: file)
        case let error as DatabaseError: self = .failed(file: file, reason: error.description)
        default: self = .failed(file: file, reason: "\(error)")
        }
    }
}
