import Foundation
import GRDB

/// A client's own name for a request, with which it can send the request again without a second job.
///
/// (draft-ietf-httpapi-idempotency-key-header, section 2.)
struct IdempotencyKey: Sendable, Equatable {
    var text: String
    /// The ``Asker/id`` of the client, because two clients can choose the same text; empty without a token.
    var owner = ""
    /// Distinguishes the request from others that wrongly have the same key.
    var requestDigest: Data
}

extension JobStore {
    /// The job that an earlier request of this owner and key created, if there was one.
    ///
    /// - Throws: ``SubmissionError/keyReused`` if that request was a different one.
    func job(for key: IdempotencyKey) async throws -> Job? {
        try await read { [file] database in try Self.job(for: key, in: database, file: file) }
    }

    static func job(for key: IdempotencyKey, in database: Database, file: String) throws -> Job? {
        guard
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT \(JobSchema.jobColumns), request_digest FROM job WHERE key_owner = ? AND idempotency_key = ?
                    """,
                arguments: [key.owner, key.text])
        else { return nil }
        guard row["request_digest"] as Data? == key.requestDigest else { throw SubmissionError.keyReused }
        return try Job(row: row, file: file)
    }
}
