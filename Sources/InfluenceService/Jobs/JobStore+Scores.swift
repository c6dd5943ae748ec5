import Attribution
import Files
import Foundation
import GRDB

/// The scores of all candidates, which jobs keep for the queries that ask for them.
///
/// They are written with the query's outcome, in chunks, so that a reader holds one chunk and not all.
extension JobStore {
    /// How many candidates a chunk has.
    static let candidatesPerChunk = 16_384

    /// Writes the scores of one query in place of any that are there.
    static func write(
        _ scores: CandidateScores, of id: JobIdentifier, at position: Int, in database: Database
    ) throws {
        try database.execute(
            sql: """
                DELETE FROM candidate_scores WHERE position = ? AND job = (SELECT number FROM job WHERE id = ?)
                """, arguments: [position, id.description])
        for first in stride(from: 0, to: scores.count, by: candidatesPerChunk) {
            let chunk = scores[first..<min(first + candidatesPerChunk, scores.count)]
            try database.execute(
                sql: """
                    INSERT INTO candidate_scores (job, position, first, count, rowids, scores, rescored)
                    SELECT number, ?, ?, ?, ?, ?, ? FROM job WHERE id = ?
                    """,
                arguments: [
                    position, first, chunk.count, Data(chunk.rowids.littleEndianBytes),
                    Data(chunk.scores.map(\.bitPattern).littleEndianBytes), Data(chunk.isRescored.map { $0 ? 1 : 0 }),
                    id.description,
                ])
        }
    }

    /// How many candidates of a query have scores that are kept; 0 if the query did not ask for them.
    func candidateCount(of id: JobIdentifier, at position: Int) async throws -> Int {
        try await read { database in
            try Int.fetchOne(
                database,
                sql: """
                    SELECT coalesce(sum(count), 0) FROM candidate_scores
                    WHERE job = (SELECT number FROM job WHERE id = ?) AND position = ?
                    """, arguments: [id.description, position]) ?? 0
        }
    }

    /// The scores of a query's candidates from the one with the index `start` to the end of its chunk.
    ///
    /// - Returns: `nil` if there are none, because `start` is at the end or the job has expired.
    func candidateScores(
        of id: JobIdentifier, at position: Int, from start: Int
    ) async throws -> CandidateScores? {
        try await read { [file] database in
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT first, rowids, scores, rescored FROM candidate_scores
                    WHERE job = (SELECT number FROM job WHERE id = ?) AND position = ? AND first <= ?
                        AND first + count > ?
                    ORDER BY first DESC LIMIT 1
                    """, arguments: [id.description, position, start, start])
            guard let row else { return nil }
            let rowids = (row["rowids"] as Data).littleEndianNumbers(Int64.self)
            let scores = (row["scores"] as Data).littleEndianNumbers(UInt64.self).map(Double.init(bitPattern:))
            let rescored: Data = row["rescored"]
            guard rowids.count == scores.count, rowids.count == rescored.count,
                zip(rowids, rowids.dropFirst()).allSatisfy(<)
            else {
                throw JobStoreError.failed(file: file, reason: "the scores of job \(id) are damaged")
            }
            var chunk = CandidateScores()
            for index in (start - (row["first"] as Int))..<rowids.count {
                chunk.append(
                    rowid: rowids[index], score: scores[index],
                    isRescored: rescored[rescored.startIndex + index] != 0)
            }
            return chunk
        }
    }
}
