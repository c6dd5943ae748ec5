import Foundation
import GRDB

/// The removal of old jobs, and of the disk space that they took.
///
/// SQLite keeps the pages of deleted rows for new ones, so a database would never shrink. An incremental vacuum frees such pages
/// (sqlite.org/pragma.html#pragma_incremental_vacuum), and a checkpoint that truncates the log frees the log's.
extension JobStore {
    /// Pages freed in one transaction, for which other writes wait: 32 MiB.
    private static let pagesAtOnce = 8_192
    /// Free pages that are kept for new rows: 1 MiB.
    private static let pagesToSpare = 256
    /// A log of fewer bytes is not truncated.
    private static let logBytes = 4_194_304
    /// The most pages of an earlier version's database that is rewritten when it is opened: 1 GiB.
    private static let rewrittenPages = 262_144

    /// Lets a new database free its pages; to be called before the first row is written.
    static func prepareForCompaction(_ database: Database) throws {
        guard !database.configuration.readonly, try Int.fetchOne(database, sql: "PRAGMA page_count") == 0 else {
            return
        }
        try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
    }

    /// Lets a database of an earlier version free its pages, for which it has to be rewritten.
    ///
    /// - Returns: Why that could not be done; the database is then unchanged.
    static func rewriteForCompaction(_ pool: DatabasePool) -> String? {
        do {
            try pool.writeWithoutTransaction { database in
                let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
                guard try Int.fetchOne(database, sql: "PRAGMA auto_vacuum") == 0, pages <= rewrittenPages else {
                    return
                }
                try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Removes ended jobs, their results and their idempotency keys: those beyond the newest `keepCount`, those that ended before
    /// `oldest`, and the oldest ones if all requests and results together have more than `keepBytes`. The newest job always stays.
    ///
    /// - Returns: How many were removed. ``compact()`` frees their disk space.
    @discardableResult
    func expire(keepCount: Int, keepBytes: Int = .max, endedBefore oldest: Date) async throws -> Int {
        try await change { database, changes in
            let forgotten = try Row.fetchAll(
                database,
                sql: """
                    SELECT number, id FROM job JOIN (
                        SELECT number AS candidate, finished AS ended,
                            row_number() OVER newest AS place, sum(request_bytes + result_bytes) OVER newest AS bytes
                        FROM job WHERE finished IS NOT NULL WINDOW newest AS (ORDER BY finished DESC, number DESC)
                    ) ON number = candidate
                    WHERE ended < ? OR place > ? OR (bytes > ? AND place > 1)
                    """, arguments: [oldest.milliseconds, keepCount, keepBytes])
            for row in forgotten {
                try database.execute(sql: "DELETE FROM job WHERE number = ?", arguments: [row["number"] as Int64])
                if let id = JobIdentifier(row["id"] as String) { changes.forget(id) }
            }
            return forgotten.count
        }
    }

    /// Frees unused pages, if there are many.
    func compact() async throws {
        var free = try await freePages()
        while free > Self.pagesToSpare {
            let count = min(free - Self.pagesToSpare, Self.pagesAtOnce)
            try await change { database, _ in
                try database.execute(sql: "PRAGMA incremental_vacuum(\(count))")
            }
            let remaining = try await freePages()
            guard remaining < free else { break }
            free = remaining
        }
        let log = try FileManager.default.attributesOfItem(atPath: file + "-wal")[.size] as? NSNumber
        guard let log, log.intValue > Self.logBytes else { return }
        try await checkpoint()
    }

    /// - Returns: 0 for an earlier version's database that was not rewritten.
    private func freePages() async throws -> Int {
        try await read { database in
            guard try Int.fetchOne(database, sql: "PRAGMA auto_vacuum") == 2 else { return 0 }
            return try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        }
    }
}
