import Files
import Foundation
import GRDB

extension CorpusStore {
    /// The sequences that a name stands for, in order: the one with this identifier, or all pieces of the document with it.
    ///
    /// - Returns: No sequences if the name is unknown.
    public func sequences(named name: String) throws -> [CorpusSequence] {
        try read { db in
            guard let rowids = try IdentifierTable(db: db).sequences(named: name) else { return [] }
            return try sequences(rowids: Array(rowids), db)
        }
    }

    /// The rowids of all sequences that names of sequences and documents stand for, in the order of the names.
    ///
    /// - Throws: ``CorpusError/unknownIdentifiers(_:)`` with all names that are unknown.
    /// - Complexity: Linear in the number of names, a few microseconds for each.
    public func rowids(named names: [String]) throws -> [Int64] {
        try read { db in
            var rowids: [Int64] = []
            var unknown: [String] = []
            for (name, found) in zip(names, try IdentifierTable(db: db).sequences(named: names)) {
                if let found {
                    rowids.append(contentsOf: found)
                } else {
                    unknown.append(name)
                }
            }
            guard unknown.isEmpty else { throw CorpusError.unknownIdentifiers(unknown) }
            return rowids
        }
    }

    /// Sequences by their rowids, in the order of the list.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    public func sequences(rowids: [Int64]) throws -> [CorpusSequence] {
        try read { db in try sequences(rowids: rowids, db) }
    }

    /// Sequences' token ids, prefix included, in the order of the list: all that a sweep needs.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    public func tokens(rowids: [Int64]) throws -> [[Int32]] {
        try read { db in
            let statement = try db.cachedStatement(sql: "SELECT tokens FROM sequences WHERE id = ?")
            return try rowids.map { rowid in
                guard let blob = try Data.fetchOne(statement, arguments: [rowid]) else {
                    throw CorpusError.unknownRowid(rowid, count: try CorpusState.fetch(db).statistics.sequences)
                }
                return TokenBlob.decode(blob, prefix: tokenization.prefix)
            }
        }
    }

    /// The rowids of all sequences, or of those of one source, ascending.
    ///
    /// - Parameter count: If given, the corpus is taken as it was when it had so many sequences.
    public func rowids(source: String? = nil, asOf count: Int? = nil) throws -> [Int64] {
        try read { db in
            let sequences = Int64(try CorpusState.fetch(db).statistics.sequences)
            let last = min(Int64(count ?? .max), sequences)
            guard let source else { return Array(1..<(last + 1)) }
            return try Self.sequenceRanges(source: source, asOf: last, db).flatMap { $0 }
        }
    }

    /// The rowids of the sequences of one source in ranges, ascending: one a document.
    ///
    /// - Parameter count: If given, the corpus is taken as it was when it had so many sequences.
    public func rowidRanges(source: String, asOf count: Int? = nil) throws -> [ClosedRange<Int64>] {
        try read { db in
            let sequences = try CorpusState.fetch(db).statistics.sequences
            return try Self.sequenceRanges(source: source, asOf: Int64(min(count ?? sequences, sequences)), db)
        }
    }

    /// The next sequences in the order of their rowids, which is that of their addition.
    ///
    /// - Parameters:
    ///   - rowid: Only sequences of larger rowids; 0 for the first.
    ///   - source: If given, only sequences of this source.
    ///   - limit: How many at most.
    public func sequences(after rowid: Int64, source: String? = nil, limit: Int) throws -> [CorpusSequence] {
        guard limit > 0, rowid >= 0, source?.isCutBySQLite != true else { return [] }
        return try read { db in
            let rowids: [Int64]
            if let source {
                rowids = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT first_sequence, pieces FROM documents
                        WHERE source = ?1 AND first_sequence + pieces > ?2 + 1 ORDER BY first_sequence LIMIT ?3
                        """, arguments: [source, rowid, limit]
                ).flatMap { row -> ClosedRange<Int64> in
                    let first: Int64 = row[0]
                    let pieces: Int64 = row[1]
                    return max(first, rowid + 1)...(first + pieces - 1)
                }
            } else {
                rowids = try Int64.fetchAll(
                    db, sql: "SELECT id FROM sequences WHERE id > ? ORDER BY id LIMIT ?", arguments: [rowid, limit])
            }
            return try sequences(rowids: Array(rowids.prefix(limit)), db)
        }
    }

    /// Hands over sequences in the order of their rowids, batch by batch.
    ///
    /// Sequences that are added meanwhile are not handed over.
    ///
    /// - Parameters:
    ///   - size: How many sequences a batch has at most.
    ///   - source: If given, only sequences of this source.
    ///   - body: Takes one batch; what it throws ends the iteration.
    public func forEachBatch(
        of size: Int, source: String? = nil, _ body: ([CorpusSequence]) throws -> Void
    ) throws {
        let rowids = try rowids(source: source)
        for start in stride(from: 0, to: rowids.count, by: max(1, size)) {
            // A transaction of its own for each: one that stays open while the caller works would keep the write-ahead log
            // from being checkpointed (sqlite.org/wal.html, section 6).
            try body(sequences(rowids: Array(rowids[start..<min(start + max(1, size), rowids.count)])))
        }
    }

    /// The document with this identifier, or the document that the sequence with this identifier is a piece of.
    public func document(named name: String) throws -> CorpusDocument? {
        try read { db in
            guard
                let rowid = try IdentifierTable(db: db).sequences(named: name)?.lowerBound,
                let row = try Row.fetchOne(
                    db,
                    sql: """
                        SELECT documents.* FROM documents JOIN sequences ON documents.id = document
                        WHERE sequences.id = ?
                        """, arguments: [rowid])
            else { return nil }
            let id: Int64 = row["id"]
            let firstSequence: Int64 = row["first_sequence"]
            let pieces: Int64 = row["pieces"]
            return CorpusDocument(
                id: row["external_id"],
                otherIDs: try String.fetchAll(
                    db, sql: "SELECT name FROM identifiers WHERE document = ? AND NOT is_first", arguments: [id]),
                contentHash: [UInt8](row["content_hash"] as Data).hexadecimal,
                source: row["source"],
                metadata: row["metadata"],
                origin: row["origin"],
                text: row["text"],
                copies: row["copies"],
                sequences: firstSequence...(firstSequence + pieces - 1))
        }
    }

    /// The source of each sequence, in the order of the list; nil for one that has none.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    public func sources(rowids: [Int64]) throws -> [String?] {
        try read { db in
            let statement = try db.cachedStatement(
                sql: "SELECT source FROM documents WHERE id = (SELECT document FROM sequences WHERE id = ?)")
            return try rowids.map { rowid in
                guard let row = try Row.fetchOne(statement, arguments: [rowid]) else {
                    throw CorpusError.unknownRowid(rowid, count: try CorpusState.fetch(db).statistics.sequences)
                }
                return row[0]
            }
        }
    }

    /// The sources that documents name, with the number of sequences of each; documents without source are left out.
    public func sources() throws -> [(source: String, sequences: Int)] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT source, SUM(pieces) FROM documents WHERE source IS NOT NULL GROUP BY source ORDER BY source
                    """
            ).map { row in (row[0], row[1]) }
        }
    }

    /// The rowids of a source's sequences, as ascending ranges, up to that of the rowid `last`.
    static func sequenceRanges(source: String, asOf last: Int64, _ db: Database) throws -> [ClosedRange<Int64>] {
        guard !source.isCutBySQLite else { return [] }
        // A document's sequences are added together: a count that the corpus has had lies between documents.
        return try Row.fetchAll(
            db,
            sql: """
                SELECT first_sequence, pieces FROM documents
                WHERE source = ? AND first_sequence + pieces - 1 <= ? ORDER BY first_sequence
                """,
            arguments: [source, last]
        ).map { row in
            let first: Int64 = row[0]
            let pieces: Int64 = row[1]
            return first...(first + pieces - 1)
        }
    }

    private func sequences(rowids: [Int64], _ db: Database) throws -> [CorpusSequence] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT sequences.id - first_sequence, token_offset, tokens, external_id, source, pieces
                FROM sequences JOIN documents ON documents.id = document
                WHERE sequences.id = ?
                """)
        return try rowids.map { rowid in
            guard let row = try Row.fetchOne(statement, arguments: [rowid]) else {
                throw CorpusError.unknownRowid(rowid, count: try CorpusState.fetch(db).statistics.sequences)
            }
            let piece: Int = row[0]
            let documentID: String = row[3]
            let pieceCount: Int = row[5]
            return CorpusSequence(
                rowid: rowid,
                id: pieceCount == 1 ? documentID : "\(documentID)#\(piece)",
                documentID: documentID,
                piece: piece,
                pieceCount: pieceCount,
                tokenOffset: row[1],
                source: row[4],
                tokens: TokenBlob.decode(row[2], prefix: tokenization.prefix))
        }
    }
}
