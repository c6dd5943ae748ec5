import Files
import Foundation
import GRDB
import Sequences

/// One training sequence: a document, or a piece of one, as the model sees it.
public struct CorpusSequence: Sendable, Equatable, Identifiable {
    /// The number of the sequence in the store. Rowids start at 1 and have no gaps; later sequences have larger ones.
    public let rowid: Int64
    /// The public identifier: that of the document if it has one piece, otherwise `document#piece`.
    public let id: String
    /// The external identifier of the document that the sequence is a piece of.
    public let documentID: String
    /// The index of the piece in its document, from 0.
    public let piece: Int
    /// The number of pieces of the document.
    public let pieceCount: Int
    /// The number of the document's tokens before the piece.
    public let tokenOffset: Int
    /// Where the document is from, as its importer said.
    public let source: String?
    /// The token ids: the tokenization's prefix, then the piece.
    public let tokens: [Int32]
    /// The tokens on which training took its loss.
    public let loss: LossMask

    public var trainingSequence: TrainingSequence { TrainingSequence(tokens: tokens, loss: loss) }
}

/// One document of a corpus. It is stored once, however often its text was imported.
public struct CorpusDocument: Sendable, Equatable, Identifiable {
    /// The most bytes, in UTF-8, of an identifier and of a source.
    ///
    /// Clients ask for both by URL, where each byte can take three (`%2F`), and RFC 9110 section 4.1 wants URLs of 8,000 bytes to work.
    /// A corpus that already has longer ones can still be used.
    public static let maximumNameBytes = 2_048
    /// The external identifier under which the text was first imported, or one made from its content hash.
    public let id: String
    /// Further identifiers under which the same text was imported.
    public let otherIDs: [String]
    /// SHA-256 of the text's UTF-8 form, in hexadecimal: the document's identity.
    public let contentHash: String
    /// Where the document is from, as its importer said.
    public let source: String?
    /// A JSON object, as text.
    public let metadata: String?
    /// The file and line that the text was first read from, such as `articles.jsonl:57`.
    public let origin: String
    /// The whole text.
    public let text: String
    /// The number of times that the text was found: once per identifier, and once per location (file and line) where it had no
    /// identifier. Importing a file again adds nothing.
    public let copies: Int
    /// The rowids of its sequences, in the order of the pieces.
    public let sequences: ClosedRange<Int64>
}

extension CorpusStore {
    /// The sequence with this identifier, or all pieces of the document with this identifier, in order.
    ///
    /// - Returns: An empty list if the name is unknown.
    public func sequences(named name: String) throws -> [CorpusSequence] {
        try read { db in
            guard let rowids = try IdentifierTable(db: db).sequences(named: name) else { return [] }
            return try sequences(rowids: Array(rowids), db)
        }
    }

    /// The rowids of the named sequences, in the order of the names. Each name is that of a sequence or of a document.
    ///
    /// - Throws: ``CorpusError/unknownIdentifiers(_:)`` with all unknown names.
    /// - Complexity: Linear in the number of names, a few microseconds per name.
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

    /// The sequences with these rowids, in the order of the list.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    public func sequences(rowids: [Int64]) throws -> [CorpusSequence] {
        try read { db in try sequences(rowids: rowids, db) }
    }

    /// The sequences with these rowids as the model reads them, prefix included, in the order of the list: all that a sweep needs.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    public func trainingSequences(rowids: [Int64]) throws -> [TrainingSequence] {
        try read { db in
            try Self.rows(of: rowids, sql: "SELECT tokens, loss, is_whole FROM sequences WHERE id = ?", db) { row in
                sequence(tokens: row[0], loss: row[1], isWhole: row[2])
            }
        }
    }

    /// The token ids of the sequences with these rowids, prefix included, in the order of the list.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    public func tokens(rowids: [Int64]) throws -> [[Int32]] {
        try read { db in
            try Self.rows(of: rowids, sql: "SELECT tokens, is_whole FROM sequences WHERE id = ?", db) { row in
                sequence(tokens: row[0], loss: nil, isWhole: row[1]).tokens
            }
        }
    }

    /// A sequence as it is stored, with the prefix in front of it unless its tokens are complete without.
    private func sequence(tokens: Data, loss: Data?, isWhole: Bool) -> TrainingSequence {
        let prefix = isWhole ? [] : tokenization.prefix
        return TrainingSequence(
            tokens: prefix + tokens.littleEndianNumbers(Int32.self), loss: LossMask(stored: loss).behind(prefix.count))
    }

    /// The rowids of all sequences, or of those of one source, ascending.
    ///
    /// - Parameter count: If given, the result is that of the corpus when it had this many sequences.
    public func rowids(source: String? = nil, asOf count: Int? = nil) throws -> [Int64] {
        try read { db in
            let sequences = Int64(try TermIndex.sequenceCount(db))
            let last = min(Int64(count ?? .max), sequences)
            guard let source else { return Array(1..<(last + 1)) }
            return try Self.sequenceRanges(source: source, asOf: last, db).flatMap { $0 }
        }
    }

    /// The rowids of the sequences of one source as ascending ranges, one per document.
    ///
    /// - Parameter count: If given, the result is that of the corpus when it had this many sequences.
    public func rowidRanges(source: String, asOf count: Int? = nil) throws -> [ClosedRange<Int64>] {
        try read { db in
            let sequences = try TermIndex.sequenceCount(db)
            return try Self.sequenceRanges(source: source, asOf: Int64(min(count ?? sequences, sequences)), db)
        }
    }

    /// The next sequences in the order of their rowids, which is the order of their addition.
    ///
    /// - Parameters:
    ///   - rowid: Only sequences with larger rowids are returned; 0 starts with the first.
    ///   - source: If given, only sequences of this source are returned.
    ///   - limit: The most sequences to return.
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
                    let range = row.sequences(first: 0, pieces: 1)
                    return max(range.lowerBound, rowid + 1)...range.upperBound
                }
            } else {
                rowids = try Int64.fetchAll(
                    db, sql: "SELECT id FROM sequences WHERE id > ? ORDER BY id LIMIT ?", arguments: [rowid, limit])
            }
            return try sequences(rowids: Array(rowids.prefix(limit)), db)
        }
    }

    /// Calls the body with sequences in the order of their rowids, one batch at a time.
    ///
    /// Sequences that are added meanwhile are left out.
    ///
    /// - Parameters:
    ///   - size: The most sequences in a batch.
    ///   - source: If given, only sequences of this source are included.
    ///   - body: Receives one batch. An error that it throws ends the iteration.
    public func forEachBatch(
        of size: Int, source: String? = nil, _ body: ([CorpusSequence]) throws -> Void
    ) throws {
        let rowids = try rowids(source: source)
        for start in stride(from: 0, to: rowids.count, by: max(1, size)) {
            // Each batch has its own transaction: one that stayed open while the caller works would keep the write-ahead log from
            // being checkpointed (sqlite.org/wal.html, section 6).
            try body(sequences(rowids: Array(rowids[start..<min(start + max(1, size), rowids.count)])))
        }
    }

    /// The document with this identifier, or the document of the sequence with this identifier.
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
            let first: Int64 = row["first_sequence"]
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
                sequences: first...(first + (row["pieces"] as Int64) - 1))
        }
    }

    /// The identifier of each sequence, in the order of the list.
    ///
    /// - Parameter rowids: Ascending.
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    /// - Complexity: One scan of the range if the list has most of it, otherwise one search per rowid.
    public func identifiers(rowids: [Int64]) throws -> [String] {
        guard let first = rowids.first, let last = rowids.last else { return [] }
        let columns = "SELECT pieces, sequences.id - first_sequence, external_id, sequences.id"
        let source = "FROM sequences JOIN documents ON documents.id = document"
        let identifier = { (row: Row) -> String in
            let (pieces, piece, document): (Int, Int, String) = (row[0], row[1], row[2])
            return pieces == 1 ? document : "\(document)#\(piece)"
        }
        return try read { db in
            guard last - first < 4 * Int64(rowids.count) else {
                return try Self.rows(of: rowids, sql: "\(columns) \(source) WHERE sequences.id = ?", db, identifier)
            }
            var identifiers: [String] = []
            identifiers.reserveCapacity(rowids.count)
            let rows = try Row.fetchCursor(
                db, sql: "\(columns) \(source) WHERE sequences.id BETWEEN ? AND ? ORDER BY sequences.id",
                arguments: [first, last])
            while let row = try rows.next(), identifiers.count < rowids.count {
                let (rowid, wanted): (Int64, Int64) = (row[3], rowids[identifiers.count])
                if rowid == wanted { identifiers.append(identifier(row)) }
                if rowid > wanted { break }
            }
            guard identifiers.count == rowids.count else {
                throw CorpusError.unknownRowid(
                    rowids[identifiers.count], count: try TermIndex.sequenceCount(db))
            }
            return identifiers
        }
    }

    /// The source of each sequence, in the order of the list; nil for a sequence without a source.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid that the corpus does not have.
    public func sources(rowids: [Int64]) throws -> [String?] {
        try read { db in
            try Self.rows(
                of: rowids,
                sql: "SELECT source FROM documents WHERE id = (SELECT document FROM sequences WHERE id = ?)", db
            ) { row in row[0] }
        }
    }

    public func hasSource(_ source: String) throws -> Bool {
        guard !source.isCutBySQLite else { return false }
        return try read { db in
            try Bool.fetchOne(
                db, sql: "SELECT EXISTS (SELECT 1 FROM documents WHERE source = ?)", arguments: [source]) ?? false
        }
    }

    /// The sources of the corpus, with the number of sequences of each; documents without a source are left out.
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

    /// The rowids of a source's sequences up to `last`, as ascending ranges.
    private static func sequenceRanges(source: String, asOf last: Int64, _ db: Database) throws -> [ClosedRange<Int64>]
    {
        guard !source.isCutBySQLite else { return [] }
        // A document's sequences are added together, so `last` is the last sequence of some document.
        return try Row.fetchAll(
            db,
            sql: """
                SELECT first_sequence, pieces FROM documents
                WHERE source = ? AND first_sequence + pieces - 1 <= ? ORDER BY first_sequence
                """,
            arguments: [source, last]
        ).map { row in row.sequences(first: 0, pieces: 1) }
    }

    private func sequences(rowids: [Int64], _ db: Database) throws -> [CorpusSequence] {
        try Self.rows(
            of: rowids,
            sql: """
                SELECT sequences.id - first_sequence, token_offset, tokens, external_id, source, pieces, sequences.id,
                    loss, is_whole
                FROM sequences JOIN documents ON documents.id = document
                WHERE sequences.id = ?
                """, db
        ) { row in
            let piece: Int = row[0]
            let documentID: String = row[3]
            let pieceCount: Int = row[5]
            let sequence = sequence(tokens: row[2], loss: row[7], isWhole: row[8])
            return CorpusSequence(
                rowid: row[6],
                id: pieceCount == 1 ? documentID : "\(documentID)#\(piece)",
                documentID: documentID,
                piece: piece,
                pieceCount: pieceCount,
                tokenOffset: row[1],
                source: row[4],
                tokens: sequence.tokens,
                loss: sequence.loss)
        }
    }

    /// Runs a statement for each rowid and converts its one row.
    ///
    /// - Throws: ``CorpusError/unknownRowid(_:count:)`` for the first rowid without a row.
    private static func rows<Value>(
        of rowids: [Int64], sql: String, _ db: Database, _ value: (Row) -> Value
    ) throws -> [Value] {
        let statement = try db.cachedStatement(sql: sql)
        return try rowids.map { rowid in
            guard let row = try Row.fetchOne(statement, arguments: [rowid]) else {
                throw CorpusError.unknownRowid(rowid, count: try TermIndex.sequenceCount(db))
            }
            return value(row)
        }
    }
}

extension LossMask {
    /// A mask as the corpus stores it: the bounds of its spans as little-endian 32-bit integers; nothing for a mask of all tokens.
    init(stored data: Data?) {
        guard let bounds = data?.littleEndianNumbers(Int32.self) else {
            self = .all
            return
        }
        self.init(
            stride(from: 0, to: bounds.count - 1, by: 2).compactMap { index in
                let (start, end) = (Int(bounds[index]), Int(bounds[index + 1]))
                return start < end ? start..<end : nil
            })
    }

    var stored: Data? {
        spans.map { Data($0.flatMap { [Int32($0.lowerBound), Int32($0.upperBound)] }.littleEndianBytes) }
    }
}
