import Foundation
import GRDB

/// The tables of a corpus, beside the ``PostingTable`` and the ``SourceTable``.
///
///     corpus       one row: the tokenization, the counts, and the sum of the documents' hashes
///     documents    one row a text; its sequences are those numbered first_sequence ..< first_sequence + pieces
///     identifiers  every name that a document goes by
///     occurrences  where a text was met again without a name
///     sequences    one row a sequence; ids are dense from 1; tokens are little-endian 32-bit integers, without prefix
///
/// Rows are only ever added: a sequence keeps its rowid and its tokens for good.
enum CorpusSchema {
    /// Tells a corpus from other SQLite files ("TrCo").
    static let applicationID = 0x5472_436f

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: tables)
            try PostingTable(db: db).create()
        }
        // Postings were in blocks of another kind. Foreign keys are left alone, and need not be checked row by row.
        migrator.registerMigration("2", foreignKeyChecks: .immediate) { db in
            try PostingTable(db: db).rebuild()
            try SourceTable(db: db).create()
            try SourceTable(db: db).build()
        }
        // Sources that are canonically equivalent in Unicode, and yet different, were in one row.
        migrator.registerMigration("3", foreignKeyChecks: .immediate) { db in
            try db.execute(sql: "DELETE FROM source_sequences")
            try SourceTable(db: db).build()
        }
        return migrator
    }

    // A document's text comes last in its row: SQLite then reads the columns before it without touching the overflow
    // pages of a long text (sqlite.org/fileformat2.html, section 1.6).
    private static let tables = """
        CREATE TABLE corpus (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            tokenizer_digest TEXT NOT NULL,
            sequence_length INTEGER NOT NULL,
            prefix BLOB NOT NULL,
            documents INTEGER NOT NULL,
            sequences INTEGER NOT NULL,
            tokens INTEGER NOT NULL,
            duplicates INTEGER NOT NULL,
            content_sum BLOB NOT NULL
        ) STRICT;
        CREATE TABLE documents (
            id INTEGER PRIMARY KEY,
            content_hash BLOB NOT NULL UNIQUE,
            external_id TEXT NOT NULL,
            source TEXT,
            first_sequence INTEGER NOT NULL,
            pieces INTEGER NOT NULL CHECK (pieces > 0),
            copies INTEGER NOT NULL,
            origin TEXT NOT NULL,
            metadata TEXT,
            text TEXT NOT NULL
        ) STRICT;
        CREATE INDEX documents_by_source ON documents (source, first_sequence, pieces) WHERE source IS NOT NULL;
        CREATE TABLE identifiers (
            name TEXT PRIMARY KEY,
            document INTEGER NOT NULL REFERENCES documents,
            is_first INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX other_identifiers ON identifiers (document) WHERE NOT is_first;
        CREATE TABLE occurrences (
            document INTEGER NOT NULL REFERENCES documents,
            origin TEXT NOT NULL,
            PRIMARY KEY (document, origin)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sequences (
            id INTEGER PRIMARY KEY,
            document INTEGER NOT NULL REFERENCES documents,
            token_offset INTEGER NOT NULL,
            tokens BLOB NOT NULL
        ) STRICT;
        """
}

/// The one row of the table `corpus`, but for the tokenization, which never changes.
struct CorpusState: Sendable {
    var statistics = CorpusStatistics()
    var contentSum = ContentHashSum()

    static func fetch(_ db: Database) throws -> CorpusState {
        var state = CorpusState()
        if let row = try Row.fetchOne(
            db, sql: "SELECT documents, sequences, tokens, duplicates, content_sum FROM corpus")
        {
            state.statistics.documents = row[0]
            state.statistics.sequences = row[1]
            state.statistics.tokens = row[2]
            state.statistics.duplicates = row[3]
            state.contentSum = ContentHashSum(bytes: [UInt8](row[4] as Data))
        }
        return state
    }

    func save(_ db: Database) throws {
        try db.execute(
            sql: "UPDATE corpus SET documents = ?, sequences = ?, tokens = ?, duplicates = ?, content_sum = ?",
            arguments: [
                statistics.documents, statistics.sequences, statistics.tokens, statistics.duplicates,
                Data(contentSum.bytes),
            ])
    }
}

extension CorpusTokenizationIdentity {
    /// What the corpus was made for; nil in a corpus that is just being created.
    static func fetch(_ db: Database) throws -> CorpusTokenizationIdentity? {
        try Row.fetchOne(db, sql: "SELECT tokenizer_digest, sequence_length, prefix FROM corpus").map { row in
            CorpusTokenizationIdentity(
                tokenizerDigest: row[0], sequenceLength: row[1], prefix: TokenBlob.decode(row[2]))
        }
    }

    /// Records what a new corpus is made for.
    func insert(_ db: Database) throws {
        try db.execute(
            sql: "INSERT INTO corpus VALUES (1, ?, ?, ?, 0, 0, 0, 0, ?)",
            arguments: [
                tokenizerDigest, sequenceLength, TokenBlob.encode(prefix[...]), Data(ContentHashSum().bytes),
            ])
    }
}

/// Token ids as they are stored: four bytes each, least significant first.
enum TokenBlob {
    static func encode(_ tokens: ArraySlice<Int32>) -> Data {
        var bytes = [UInt8]()
        bytes.reserveCapacity(4 * tokens.count)
        for token in tokens {
            let bits = UInt32(bitPattern: token)
            bytes.append(UInt8(truncatingIfNeeded: bits))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 16))
            bytes.append(UInt8(truncatingIfNeeded: bits >> 24))
        }
        return Data(bytes)
    }

    /// The tokens of a blob, after those of `prefix`.
    static func decode(_ blob: Data, prefix: [Int32] = []) -> [Int32] {
        let bytes = [UInt8](blob)
        var tokens = prefix
        tokens.reserveCapacity(prefix.count + bytes.count / 4)
        for start in stride(from: 0, to: bytes.count - 3, by: 4) {
            let low = UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8
            let high = UInt32(bytes[start + 2]) | UInt32(bytes[start + 3]) << 8
            tokens.append(Int32(bitPattern: low | high << 16))
        }
        return tokens
    }
}
