import Foundation
import GRDB

/// The table of which tokens occur in which sequences, within one transaction.
///
///     postings (key INTEGER PRIMARY KEY, count INTEGER, rowids BLOB)
///
///     key      token × 2³² + n for the rowids from n × 2¹⁵ up to, and without, (n + 1) × 2¹⁵: a token's rows are neighbours
///     count    how many of these sequences have the token, at least one
///     rowids   which, as ``PostingBlock`` says
///
/// n_t is the sum of `count`. There is nothing else to keep in step: a table that was dropped is made again from the sequences.
struct PostingTable {
    /// The text of a new sequence.
    struct Addition {
        let rowid: Int64
        let tokens: ArraySlice<Int32>
    }

    let db: Database

    func create() throws {
        try db.execute(
            sql: """
                CREATE TABLE postings (
                    key INTEGER PRIMARY KEY,
                    count INTEGER NOT NULL,
                    rowids BLOB NOT NULL
                ) STRICT
                """)
    }

    /// Makes the table anew from the sequences of the corpus.
    func rebuild() throws {
        try db.execute(sql: "DROP TABLE postings")
        try create()
        // As many as an import adds at once: more would only be sorted for longer.
        let batch = 8192
        let rows = try Row.fetchCursor(db, sql: "SELECT id, tokens FROM sequences ORDER BY id")
        var additions: [Addition] = []
        while let row = try rows.next() {
            additions.append(Addition(rowid: row[0], tokens: TokenBlob.decode(row[1])[...]))
            guard additions.count == batch else { continue }
            try append(additions)
            additions.removeAll(keepingCapacity: true)
        }
        try append(additions)
    }

    /// Adds sequences that the table does not have. Belongs into the transaction that adds the sequences.
    func append(_ additions: [Addition]) throws {
        // Sorted pairs of token and rowid: a block's rowids lie together, and the table is visited from front to back.
        var pairs: [Int64] = []
        pairs.reserveCapacity(additions.reduce(0) { $0 + $1.tokens.count })
        for addition in additions {
            guard let rowid = UInt32(exactly: addition.rowid) else {
                throw CorpusError.tooManySequences(limit: Int(UInt32.max))
            }
            for token in addition.tokens {
                pairs.append(Int64(token) << 32 | Int64(rowid))
            }
        }
        pairs.sort()

        var start = 0
        while start < pairs.count {
            let key = Self.key(ofPair: pairs[start])
            var end = start
            while end < pairs.count, Self.key(ofPair: pairs[end]) == key { end += 1 }
            try add(pairs[start..<end], toBlock: key)
            start = end
        }
    }

    private func add(_ pairs: ArraySlice<Int64>, toBlock key: Int64) throws {
        let existing = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT key, count, rowids FROM postings WHERE key = ?"), arguments: [key])
        guard let last = pairs.last else { return }
        // What is there already comes before what is added.
        let size = (Int(last) & (PostingBlock.span - 1)) / 8 + 1
        var bits = [UInt8](repeating: 0, count: size)
        if let existing = try existing.map(block), !existing.set(in: &bits, from: 0, size: size) {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT, message: "token \(key >> 32) is indexed for a sequence that does not exist"
            )
        }
        for pair in pairs {
            let distance = Int(pair) & (PostingBlock.span - 1)
            bits[distance / 8] |= 1 << UInt8(distance % 8)
        }
        guard let block = PostingBlock(bits: bits) else { return }
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO postings VALUES (?, ?, ?)")
            .execute(arguments: [key, block.count, Data(block.rowids)])
    }

    /// Hands over the blocks of a token, with the number of each one's stretch, in ascending order.
    func forEachBlock(of token: Int32, _ body: (Int, PostingBlock) throws -> Void) throws {
        let rows = try Row.fetchCursor(
            db.cachedStatement(sql: "SELECT key, count, rowids FROM postings WHERE key BETWEEN ? AND ? ORDER BY key"),
            arguments: [Int64(token) << 32, Int64(token) << 32 | Int64(UInt32.max)])
        while let row = try rows.next() {
            let key: Int64 = row[0]
            try body(Int(key & Int64(UInt32.max)), block(row))
        }
    }

    /// In how many sequences a token occurs: n_t.
    func sequences(with token: Int32) throws -> Int {
        try Int.fetchOne(
            db, sql: "SELECT COALESCE(SUM(count), 0) FROM postings WHERE key BETWEEN ? AND ?",
            arguments: [Int64(token) << 32, Int64(token) << 32 | Int64(UInt32.max)]) ?? 0
    }

    private func block(_ row: Row) throws -> PostingBlock {
        let key: Int64 = row[0]
        guard let block = PostingBlock(count: row[1], rowids: [UInt8](row[2] as Data)) else {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT, message: "postings of token \(key >> 32) are not as they are written")
        }
        return block
    }

    private static func key(ofPair pair: Int64) -> Int64 {
        (pair >> 32) << 32 | (pair & Int64(UInt32.max)) / Int64(PostingBlock.span)
    }
}
