import GRDB

/// How jobs lie in SQLite.
///
/// `job` has one row a request; `number` is the order of arrival and is never used twice, so that it can serve as a cursor.
/// Times are milliseconds since 1970. `request` is the JSON of the queries with all defaults filled in, `timings` that of
/// ``JobTimings``, `failure` that of ``QueryFailure``. `outcome` has one row a query that is done, its position in the
/// request from 0: `body` is the JSON of an ``InfluenceResult`` where `succeeded` is 1, else of a ``QueryFailure``.
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
        return migrator
    }()

    /// The columns of a ``Job``: all but its request, which can be long.
    static let jobColumns = """
        number, id, status, is_list, query_count, failed_query_count, stage, done, total, created, started, finished, \
        attempts, failure, timings
        """
}
