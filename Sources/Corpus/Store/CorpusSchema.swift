import Foundation
import GRDB

/// The tables of a corpus, in addition to the ``PostingTable`` and the ``SourceTable``.
///
///     corpus       one row: the tokenization, the counts, and the sum of the documents' hashes
///     documents    one row per text; its sequences have the ids first_sequence ..< first_sequence + pieces
///     identifiers  every name of a document
///     occurrences  the locations where a text was found again without a name
///     sequences    one row per sequence; ids start at 1 without gaps; tokens are little-endian 32-bit integers, without the prefix;
///                  loss has the start and end of each range of tokens with loss, counted in the stored tokens, NULL for all tokens;
///                  is_whole is 1 if the prefix does not belong in front of the tokens
///
/// Rows are only ever added: the rowid and the tokens of a sequence never change.
enum CorpusSchema {
    /// Distinguishes a corpus from other SQLite files ("TrCo").
    static let applicationID = 0x5472_436f

    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: tables)
            try PostingTable(db: db).create()
        }
        // Postings had another form. The migration does not touch foreign keys: they need not be checked row by row.
        migrator.registerMigration("2", foreignKeyChecks: .immediate) { db in
            try PostingTable(db: db).rebuild()
            try SourceTable(db: db).create()
            try SourceTable(db: db).build()
        }
        // Different sources that are canonically equivalent in Unicode shared one row.
        migrator.registerMigration("3", foreignKeyChecks: .immediate) { db in
            try db.execute(sql: "DELETE FROM source_sequences")
            try SourceTable(db: db).build()
        }
        // Sequences had loss on every token.
        migrator.registerMigration("4", foreignKeyChecks: .immediate) { db in
            try db.execute(sql: "ALTER TABLE sequences ADD COLUMN loss BLOB")
            try db.execute(sql: "ALTER TABLE sequences ADD COLUMN is_whole INTEGER NOT NULL DEFAULT 0")
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
