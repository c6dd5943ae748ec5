import Foundation
import GRDB

/// What deleted jobs took of the disk.
///
/// SQLite keeps the pages of what is deleted for what comes next, so that a database would stay as large as it ever was. Pages are
/// given back by an incremental vacuum (sqlite.org/pragma.html#pragma_incremental_vacuum), and the log's by a checkpoint that
/// truncates it.
extension JobStore {
    /// Pages given back in one transaction, for which other writes wait: 32 MiB.
    private static let pagesAtOnce = 8_192
    /// Free pages that are left for what comes next: 1 MiB.
    private static let pagesToSpare = 256
    /// A log of fewer bytes is left as it is.
    private static let logBytes = 4_194_304
    /// The most pages of a database of an earlier version that is written anew at its opening: 1 GiB.
    private static let rewrittenPages = 262_144

    /// Has a database give pages back; to be called before anything is in a new one.
    static func prepareForCompaction(_ database: Database) throws {
        guard !database.configuration.readonly, try Int.fetchOne(database, sql: "PRAGMA page_count") == 0 else {
            return
        }
        try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
    }

    /// Has a database of an earlier version give pages back, for which all of it is written anew.
    ///
    /// - Returns: Why that could not be done; the database is then as it was, and grows no more than before.
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

    /// Forgets ended jobs, their results and their idempotency keys: those beyond the newest `keepCount`, those that ended
    /// before `oldest`, and the oldest of those whose requests and results are more than `keepBytes` together. The newest is always
    /// kept.
    ///
    /// - Returns: How many were forgotten. ``compact()`` gives their part of the disk back.
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

    /// Gives free pages back to the disk, if there are many.
    ///
    /// - Throws: ``JobStoreError``.
    func compact() async throws {
        var free = try await freePages()
        while free > Self.pagesToSpare {
            let count = min(free - Self.pagesToSpare, Self.pagesAtOnce)
            try await change { database, _ in
                try database.execute(sql: "PRAGMA incremental_vacuum(\(count))")
            }
            let left = try await freePages()
            guard left < free else { break }
            free = left
        }
        let log = try FileManager.default.attributesOfItem(atPath: file + "-wal")[.size] as? NSNumber
        guard let log, log.intValue > Self.logBytes else { return }
        try await checkpoint()
    }

    /// - Returns: 0 for a database of an earlier version, which keeps its pages.
    private func freePages() async throws -> Int {
        try await read { database in
            guard try Int.fetchOne(database, sql: "PRAGMA auto_vacuum") == 2 else { return 0 }
            return try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        }
    }
}
