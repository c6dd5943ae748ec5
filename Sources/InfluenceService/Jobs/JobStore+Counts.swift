import GRDB

extension JobStore {
    /// How many jobs there are of each status.
    public func jobCounts() async throws -> [Job.Status: Int] {
        try await read { database in
            let rows = try Row.fetchAll(database, sql: "SELECT status, COUNT(*) FROM job GROUP BY status")
            let pairs = rows.compactMap { row in Job.Status(rawValue: row[0]).map { ($0, row[1] as Int) } }
            return Dictionary(uniqueKeysWithValues: pairs)
        }
    }
}
