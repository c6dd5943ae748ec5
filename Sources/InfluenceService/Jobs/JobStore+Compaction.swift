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
