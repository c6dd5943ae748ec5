import Files
import Foundation
import GRDB
import JSON

/// The table of which tokens occur in which sequences, within one transaction.
///
///     postings (key INTEGER PRIMARY KEY, count INTEGER, rowids BLOB)
///
///     key      token × 2³² + n for the rowids from n × 2¹⁵ up to, and without, (n + 1) × 2¹⁵: a token's rows are neighbours
///     count    the number of these sequences that have the token, at least one
///     rowids   the rowids of those sequences, in the form of ``PostingBlock``
///
/// The number of sequences that have a token (n_t in ``TermIndex``) is the sum of `count` over the token's rows. Nothing else must be kept
/// in step: a table that was dropped can be rebuilt from the sequences.
struct PostingTable {
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

    /// Builds the table again from the sequences of the corpus.
    func rebuild() throws {
        try db.execute(sql: "DROP TABLE postings")
        try create()
        // As many as an import adds at once: more would only take longer to sort.
        let batch = 8192
        let rows = try Row.fetchCursor(db, sql: "SELECT id, tokens FROM sequences ORDER BY id")
        var additions: [Addition] = []
        while let row = try rows.next() {
            let tokens = (row[1] as Data).littleEndianNumbers(Int32.self)
            additions.append(Addition(rowid: row[0], tokens: tokens[...]))
            guard additions.count == batch else { continue }
            try append(additions)
            additions.removeAll(keepingCapacity: true)
        }
        try append(additions)
    }

    /// Adds sequences that the table does not have. Call it in the transaction that adds the sequences.
    func append(_ additions: [Addition]) throws {
        // Sorted pairs of token and rowid: a block's rowids are neighbours, and the table is visited from front to back.
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
        // The rowids already in the block come before the new ones.
        let size = (Int(last) & (PostingBlock.span - 1)) / 8 + 1
        var bits = [UInt8](repeating: 0, count: size)
        if let existing = try existing.map(block), !existing.set(in: &bits, from: 0, size: size) {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT, message: "token \(key >> 32) is indexed for a sequence that does not exist"
            )
        }
        for pair in pairs { bits.setBit(Int(pair) & (PostingBlock.span - 1)) }
        guard let block = PostingBlock(bits: bits) else { return }
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO postings VALUES (?, ?, ?)")
            .execute(arguments: [key, block.count, Data(block.rowids)])
    }

    /// Calls the body with each block of a token and the number of its stretch, in ascending order.
    func forEachBlock(of token: Int32, _ body: (_ stretch: Int, PostingBlock) throws -> Void) throws {
        let keys = Self.keys(of: token)
        let rows = try Row.fetchCursor(
            db.cachedStatement(sql: "SELECT key, count, rowids FROM postings WHERE key BETWEEN ? AND ? ORDER BY key"),
            arguments: [keys.lowerBound, keys.upperBound])
        while let row = try rows.next() {
            try body(Int((row[0] as Int64) & Int64(UInt32.max)), block(row))
        }
    }

    /// The number of sequences in which a token occurs: n_t.
    func sequences(with token: Int32) throws -> Int {
        let keys = Self.keys(of: token)
        return try Int.fetchOne(
            db, sql: "SELECT COALESCE(SUM(count), 0) FROM postings WHERE key BETWEEN ? AND ?",
            arguments: [keys.lowerBound, keys.upperBound]) ?? 0
    }

    private func block(_ row: Row) throws -> PostingBlock {
        guard let block = PostingBlock(count: row[1], rowids: [UInt8](row[2] as Data)) else {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT,
                message: "the postings of token \((row[0] as Int64) >> 32) are not as they were written")
        }
        return block
    }

    private static func key(ofPair pair: Int64) -> Int64 {
        (pair >> 32) << 32 | (pair & Int64(UInt32.max)) / Int64(PostingBlock.span)
    }

    private static func keys(of token: Int32) -> ClosedRange<Int64> {
        (Int64(token) << 32)...(Int64(token) << 32 | Int64(UInt32.max))
    }
}

/// The table of which sequences belong to which source, within one transaction.
///
///     source_sequences (source TEXT, stretch INTEGER, count INTEGER, rowids BLOB)
///
/// A row has the sequences of one source among the rowids from stretch × 2¹⁵ up to, and without, (stretch + 1) × 2¹⁵, in the form of
/// ``PostingBlock``. The documents hold the same information; this table answers faster.
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

    /// Fills the empty table from the documents of the corpus.
    ///
    /// Sources are compared by their bytes, as SQLite does.
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
            source = next
            ranges.append(row.sequences(first: 1, pieces: 2))
        }
        if let source { try append(ranges, of: source) }
    }

    func append(_ ranges: [ClosedRange<Int64>], of source: String) throws {
        let span = Int64(PostingBlock.span)
        for (stretch, rowids) in Dictionary(grouping: ranges.joined(), by: { $0 / span }) {
            var bits = try bits(of: source, stretch: Int(stretch)) ?? PostingBlock.noBits
            for rowid in rowids { bits.setBit(Int(rowid % span)) }
            guard let block = PostingBlock(bits: bits) else { continue }
            try db.cachedStatement(sql: "INSERT OR REPLACE INTO source_sequences VALUES (?, ?, ?, ?)")
                .execute(arguments: [source, stretch, block.count, Data(block.rowids)])
        }
    }

    /// For each rowid of a stretch, a bit that says whether the sequence belongs to the source; nil if no sequence does.
    func bits(of source: String, stretch: Int) throws -> [UInt8]? {
        guard !source.isCutBySQLite else { return nil }
        let row = try Row.fetchOne(
            db.cachedStatement(sql: "SELECT count, rowids FROM source_sequences WHERE source = ? AND stretch = ?"),
            arguments: [source, stretch])
        return try row.map { row in
            guard let bits = PostingBlock(count: row[0], rowids: [UInt8](row[1] as Data))?.bits() else {
                throw DatabaseError(
                    resultCode: .SQLITE_CORRUPT,
                    message: "the sequences of source \(source) are not as they were written")
            }
            return bits
        }
    }
}

extension [UInt8] {
    /// Sets bit i % 8 of byte i / 8.
    fileprivate mutating func setBit(_ index: Int) { self[index / 8] |= 1 << UInt8(index % 8) }
}

extension Row {
    /// The rowids of a document's sequences, from the columns of its first sequence and of the number of its pieces.
    func sequences(first: Int, pieces: Int) -> ClosedRange<Int64> {
        (self[first] as Int64)...((self[first] as Int64) + (self[pieces] as Int64) - 1)
    }
}

extension String {
    /// Whether SQLite would read the text only up to a NUL character in it (sqlite.org/nulinstr.html). No name and no source of a
    /// corpus contains one.
    var isCutBySQLite: Bool { utf8.contains(0) }
}

/// The sequences of one stretch of the corpus that have a token: one row of the table `postings`.
///
/// A stretch has ``span`` rowids. `rowids` is the shorter of two forms, and the first if both are equally long:
///
///     a list   for each rowid, ascending, its distance from the stretch's first as two bytes, least significant first
///     bits     bit i % 8 of byte i / 8 is set for each rowid at distance i from the stretch's first; the last byte has a set bit
///
/// A list has 2 × `count` bytes; bits have fewer than that. A posting thus takes at most two bytes, and an eighth of a byte for a token
/// that nearly every sequence has. (The containers of Roaring bitmaps: Chambi, Lemire, Kaser and Godin 2016.)
struct PostingBlock: Equatable {
    /// The number of rowids in a stretch. The bits of one fill an overflow page of SQLite, together with the part in the row itself.
    static let span = 1 << 15

    static let noBits = [UInt8](repeating: 0, count: span / 8)
    /// The number of rowids in the block, at least one.
    let count: Int
    /// The rowids in the form that is stored.
    let rowids: [UInt8]

    /// The block with these bits; nil if no bit is set.
    init?(bits: [UInt8]) {
        count = bits.reduce(0) { $0 + $1.nonzeroBitCount }
        guard let end = bits.lastIndex(where: { $0 != 0 }) else { return nil }
        guard 2 * count <= end + 1 else {
            rowids = Array(bits[...end])
            return
        }
        var list: [UInt8] = []
        list.reserveCapacity(2 * count)
        for (index, byte) in bits[...end].enumerated() where byte != 0 {
            for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 { list.append(littleEndian: UInt16(8 * index + bit)) }
        }
        rowids = list
    }

    /// The block of a row; nil if this type cannot have written the row.
    init?(count: Int, rowids: [UInt8]) {
        guard (1...Self.span).contains(count), !rowids.isEmpty, rowids.count <= min(2 * count, Self.span / 8) else {
            return nil
        }
        self.count = count
        self.rowids = rowids
    }

    private var isList: Bool { rowids.count == 2 * count }

    private func distance(at index: Int) -> Int { Int(rowids[index]) | Int(rowids[index + 1]) << 8 }

    /// The last rowid's distance from the stretch's first.
    var last: Int {
        isList ? distance(at: rowids.count - 2) : 8 * rowids.count - 1 - (rowids.last?.leadingZeroBitCount ?? 0)
    }

    /// Sets the block's bits in a row of bits of `size` bytes that begins at `start`.
    ///
    /// - Returns: Whether all of them fit into the row.
    func set(in bits: inout [UInt8], from start: Int, size: Int) -> Bool {
        guard isList else {
            guard rowids.count <= size else { return false }
            bits.replaceSubrange(start..<(start + rowids.count), with: rowids)
            return true
        }
        for index in stride(from: 0, to: rowids.count, by: 2) {
            let distance = distance(at: index)
            guard distance < 8 * size else { return false }
            bits[start + distance / 8] |= 1 << UInt8(distance % 8)
        }
        return true
    }

    /// The block's bits, one for each rowid of the stretch; nil if the block has rowids beyond the stretch.
    func bits() -> [UInt8]? {
        var bits = Self.noBits
        return set(in: &bits, from: 0, size: bits.count) ? bits : nil
    }

    /// The part of the block among the first `limit` rowids of its stretch; nil if it is empty.
    func prefix(_ limit: Int) -> PostingBlock? {
        guard var bits = bits() else { return nil }
        for index in bits.indices where 8 * index + 8 > limit {
            let kept = max(0, limit - 8 * index)
            bits[index] &= UInt8(truncatingIfNeeded: (1 << kept) - 1)
        }
        return PostingBlock(bits: bits)
    }
}
