import Foundation
import GRDB
import JSON

/// The table of which sequences are of which source, within one transaction.
///
///     source_sequences (source TEXT, stretch INTEGER, count INTEGER, rowids BLOB)
///
/// A row has the sequences of one source among the rowids from stretch × 2¹⁵ up to, and without, (stretch + 1) × 2¹⁵, in the form of
/// ``PostingBlock``. The documents say the same; this says it quickly.
struct SourceTable {
    let db: Database

    func create() throws {
        try db.execute(
            sql: """
                CREATE TABLE source_sequences (
                    source TEXT NOT NULL,
                    stretch INTEGER NOT NULL,
                    count INTEGER NOT NULL,
                    rowids BLOB NOT NULL,
                    UNIQUE (source, stretch)
                ) STRICT
                """)
    }

    /// Fills the table, which is empty, from the documents of the corpus.
    ///
    /// Sources are told apart by their bytes, as SQLite does.
    func build() throws {
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT source, first_sequence, pieces FROM documents
                WHERE source IS NOT NULL ORDER BY source, first_sequence
                """)
        var source: String?
        var ranges: [ClosedRange<Int64>] = []
        while let row = try rows.next() {
            let next: String = row[0]
            if let source, !source.hasSameBytes(as: next) || ranges.count == 8192 {
                try append(ranges, of: source)
                ranges.removeAll(keepingCapacity: true)
            }
            let first: Int64 = row[1]
            let pieces: Int64 = row[2]
            source = next
            ranges.append(first...(first + pieces - 1))
        }
        if let source { try append(ranges, of: source) }
    }

    /// Adds sequences of a source.
    func append(_ ranges: [ClosedRange<Int64>], of source: String) throws {
        let span = Int64(PostingBlock.span)
        for (stretch, rowids) in Dictionary(grouping: ranges.joined(), by: { $0 / span }) {
            var bits = try bits(of: source, stretch: Int(stretch)) ?? PostingBlock.noBits
            for rowid in rowids {
                let distance = Int(rowid % span)
                bits[distance / 8] |= 1 << UInt8(distance % 8)
            }
            guard let block = PostingBlock(bits: bits) else { continue }
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO source_sequences VALUES (?, ?, ?, ?)")
                .execute(arguments: [source, stretch, block.count, Data(block.rowids)])
        }
    }

    /// A bit for each rowid of a stretch, whether it is of a source; nil if none is.
    func bits(of source: String, stretch: Int) throws -> [UInt8]? {
        guard !source.isCutBySQLite else { return nil }
        let row = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT count, rowids FROM source_sequences WHERE source = ? AND stretch = ?"),
            arguments: [source, stretch])
        return try row.map { row in
            guard let bits = PostingBlock(count: row[0], rowids: [UInt8](row[1] as Data))?.bits() else {
                throw DatabaseError(
                    resultCode: .SQLITE_CORRUPT,
                    message: "the sequences of source \(source) are not as they are written")
            }
            return bits
        }
    }
}
