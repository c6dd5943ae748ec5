import Attribution
import Foundation
import GRDB
import JSON

/// The format of the job database.
///
/// `job` has one row per request; `number` is the order of arrival and is never used twice, so it can serve as a cursor. Times are
/// milliseconds since 1970. `request` is the JSON of the queries with all defaults filled in, `timings` that of ``JobTimings``, `failure`
/// that of ``QueryFailure``, `title` that of ``JobTitle``. `outcome` has one row per query that is done, with its index in the request:
/// `body` is the JSON of an ``InfluenceResult`` if `succeeded` is 1, otherwise of a ``QueryFailure``. `result_bytes` is the total length of
/// a job's bodies, `request_bytes` that of its request. `idempotency_key`, `key_owner` and `request_digest` are those of an
/// ``IdempotencyKey``; `asker` is the id of the token with which the request came, if any. `sweep` has one row per unfinished sweep: its
/// queries as the JSON of ``SweepMember``s, and the length of its checkpoint when it began. `candidate_scores` has the scores of all
/// candidates of the queries that ask for them, in chunks of `count` candidates from the index `first`: the rowids of the corpus as Int64,
/// the scores as Float64, both little-endian, and one byte per candidate that is 1 if it was scored again. They count in `result_bytes`.
enum JobSchema {
    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            try database.execute(
                sql: """
                    CREATE TABLE job (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        id TEXT NOT NULL UNIQUE,
                        status TEXT NOT NULL,
                        is_list INTEGER NOT NULL,
                        query_count INTEGER NOT NULL,
                        failed_query_count INTEGER NOT NULL DEFAULT 0,
                        stage TEXT,
                        done INTEGER,
                        total INTEGER,
                        created INTEGER NOT NULL,
                        started INTEGER,
                        finished INTEGER,
                        attempts INTEGER NOT NULL DEFAULT 0,
                        failure TEXT,
                        timings TEXT NOT NULL,
                        request TEXT NOT NULL
                    ) STRICT;
                    CREATE INDEX job_by_status ON job (status, number);
                    CREATE INDEX job_by_finish ON job (finished) WHERE finished IS NOT NULL;
                    CREATE TABLE outcome (
                        job INTEGER NOT NULL REFERENCES job (number) ON DELETE CASCADE,
                        position INTEGER NOT NULL,
                        succeeded INTEGER NOT NULL,
                        body BLOB NOT NULL,
                        PRIMARY KEY (job, position)
                    ) STRICT;
                    """)
        }
        migrator.registerMigration("2") { database in
            try database.execute(
                sql: """
                    ALTER TABLE job ADD COLUMN idempotency_key TEXT;
                    ALTER TABLE job ADD COLUMN request_digest BLOB;
                    ALTER TABLE job ADD COLUMN result_bytes INTEGER NOT NULL DEFAULT 0;
                    UPDATE job SET result_bytes = (SELECT coalesce(sum(length(body)), 0) FROM outcome WHERE job = number);
                    CREATE UNIQUE INDEX job_by_key ON job (idempotency_key) WHERE idempotency_key IS NOT NULL;
                    DROP INDEX job_by_finish;
                    CREATE INDEX job_by_finish ON job (finished, number, result_bytes) WHERE finished IS NOT NULL;
                    CREATE TABLE sweep (
                        id TEXT NOT NULL PRIMARY KEY,
                        members TEXT NOT NULL,
                        checkpoint_bytes INTEGER NOT NULL
                    ) STRICT;
                    """)
        }
        migrator.registerMigration("3") { database in
            try database.execute(sql: "ALTER TABLE job ADD COLUMN asker TEXT")
        }
        migrator.registerMigration("4") { database in
            try database.execute(sql: "ALTER TABLE job ADD COLUMN title TEXT")
            for number in try Int64.fetchAll(database, sql: "SELECT number FROM job") {
                let request = try String.fetchOne(
                    database, sql: "SELECT request FROM job WHERE number = ?", arguments: [number])
                guard let request, let title = JobTitle(request: request) else { continue }
                try database.execute(
                    sql: "UPDATE job SET title = ? WHERE number = ?", arguments: [try jsonText(title), number])
            }
        }
        migrator.registerMigration("5") { database in
            try database.execute(
                sql: """
                    ALTER TABLE job ADD COLUMN request_bytes INTEGER NOT NULL DEFAULT 0;
                    UPDATE job SET request_bytes = length(CAST(request AS BLOB));
                    ALTER TABLE job ADD COLUMN key_owner TEXT NOT NULL DEFAULT '';
                    UPDATE job SET key_owner = asker, idempotency_key = substr(idempotency_key, length(asker) + 2)
                        WHERE asker IS NOT NULL AND substr(idempotency_key, 1, length(asker) + 1) = asker || '/';
                    DROP INDEX job_by_key;
                    CREATE UNIQUE INDEX job_by_key ON job (key_owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
                    DROP INDEX job_by_finish;
                    CREATE INDEX job_by_finish ON job (finished, number, request_bytes, result_bytes)
                        WHERE finished IS NOT NULL;
                    """)
        }
        migrator.registerMigration("6") { database in
            try database.execute(
                sql: """
                    CREATE TABLE candidate_scores (
                        job INTEGER NOT NULL REFERENCES job (number) ON DELETE CASCADE,
                        position INTEGER NOT NULL,
                        first INTEGER NOT NULL,
                        count INTEGER NOT NULL,
                        rowids BLOB NOT NULL,
                        scores BLOB NOT NULL,
                        rescored BLOB NOT NULL,
                        PRIMARY KEY (job, position, first)
                    ) STRICT;
                    """)
        }
        return migrator
    }()

    /// The assignments that remove a job's stage and progress.
    static let noStage = "stage = NULL, done = NULL, total = NULL"

    /// The columns of a ``Job``: all except its request, which can be long.
    static let jobColumns = """
        number, id, status, is_list, query_count, failed_query_count, stage, done, total, created, started, finished, \
        attempts, failure, timings, title
        """
}

extension Job {
    static func fetch(
        _ id: JobIdentifier, where condition: String = "TRUE", in database: Database, file: String
    ) throws -> Job? {
        try Row.fetchOne(
            database, sql: "SELECT \(JobSchema.jobColumns) FROM job WHERE id = ? AND \(condition)",
            arguments: [id.description]
        ).map { try Job(row: $0, file: file) }
    }

    /// Reads the columns of ``JobSchema/jobColumns``.
    init(row: Row, file: String) throws {
        guard let id = JobIdentifier(row["id"] as String), let status = Status(rawValue: row["status"]) else {
            throw JobStoreError.failed(file: file, reason: "job \(row["number"] as Int64) has no valid id or status")
        }
        self.init(
            id: id, status: status, isList: row["is_list"], queryCount: row["query_count"],
            title: (row["title"] as String?).flatMap { try? decoded(jsonText: $0) as JobTitle },
            failedQueryCount: row["failed_query_count"], progress: nil, created: Date(milliseconds: row["created"]),
            started: (row["started"] as Int64?).map(Date.init(milliseconds:)),
            finished: (row["finished"] as Int64?).map(Date.init(milliseconds:)), attempts: row["attempts"],
            failure: try (row["failure"] as String?).map { try decoded(jsonText: $0) },
            timings: try decoded(jsonText: row["timings"]))
        if let stage = (row["stage"] as String?).flatMap(InfluenceProgress.Stage.init(rawValue:)) {
            progress = InfluenceProgress(stage: stage, done: row["done"] ?? 0, total: row["total"] ?? 0)
        }
    }
}

extension QueryOutcome {
    init(row: Row) throws {
        let body: Data = row["body"]
        self =
            if row["succeeded"] { .result(body) } else {
                .failure(try JSONDecoder().decode(QueryFailure.self, from: body))
            }
    }

    var isSuccess: Bool {
        if case .result = self { true } else { false }
    }

    var failure: QueryFailure? {
        if case .failure(let failure) = self { failure } else { nil }
    }

    func body() throws -> Data {
        switch self {
        case .result(let data): data
        case .failure(let failure): try JSONEncoder().encode(failure)
        }
    }
}
