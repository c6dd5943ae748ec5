import Foundation
import GRDB

/// Ranks sequences by the tokens that they share with a query.
///
/// The score of sequence z for query Q is that of Grosse et al. 2023, equations 28 and 29, over the model's own tokens:
///
///     score(Q, z) = sum over the tokens t of Q that occur in z, repeats in Q counted, of IDF(t)
///     IDF(t)      = log((C - n_t + 0.5) / (n_t + 0.5) + 1)
///
/// C is the number of sequences and n_t the number of those with t. How often t occurs in z does not matter: the k₁ term of
/// equation 28 is the same for all tokens and sequences, and is left out. The tokenization's prefix, which every sequence has,
/// is not part of its text and is not indexed.
///
/// # Layout
///
/// Which sequences have a token is kept in blocks, one row each, in the table
///
///     postings (key INTEGER PRIMARY KEY, last INTEGER, count INTEGER, deltas BLOB)
///
///     key     token × 2³² + the block's first rowid: the blocks of one token are neighbours, in ascending order
///     last    the block's last rowid
///     count   how many rowids the block has, the first included
///     deltas  for each rowid but the first, its difference from the one before, at least 1, as LEB128: seven bits a byte,
///             least significant first, the high bit set in all bytes of a number but its last
///
/// A block's deltas take at most ``blockCapacity`` bytes. Appending sequences rewrites, for each of their tokens, at most the
/// token's last block, and adds further ones. n_t is the sum of `count`. There is nothing else to keep in step.
public struct TermIndex: Sendable {
    /// A sequence that shares tokens with a query, or is like it in another way.
    public struct Match: Sendable, Equatable {
        /// The sequence.
        public let rowid: Int64

        /// The score, in nats; that of shared tokens is more than 0.
        public let score: Double

        public init(rowid: Int64, score: Double) {
            self.rowid = rowid
            self.score = score
        }
    }

    /// The text of a new sequence.
    struct Addition {
        let rowid: Int64
        let tokens: ArraySlice<Int32>
    }

    /// The most bytes of deltas in one block.
    static let blockCapacity = 512

    private let store: CorpusStore

    init(store: CorpusStore) {
        self.store = store
    }

    /// The sequences of highest score, best first; among equals, those added earlier first.
    ///
    /// - Parameters:
    ///   - queryTokens: The query's token ids, in any order, repeats included.
    ///   - limit: The most sequences to return.
    ///   - source: If given, only sequences of this source are returned; C and n_t remain those of the whole corpus.
    ///   - count: If given, the corpus is taken as it was when it had so many sequences, which is exact: rows are only added.
    /// - Returns: At most `limit` sequences, each with at least one token of the query.
    /// - Complexity: Linear in the size of the corpus and in the number of postings of the query's tokens.
    public func search(
        queryTokens: [Int32], limit: Int, source: String? = nil, asOf count: Int? = nil
    ) throws -> [Match] {
        guard limit > 0, !queryTokens.isEmpty else { return [] }
        return try store.read { db in
            let sequences = try CorpusState.fetch(db).statistics.sequences
            let corpusSize = min(count ?? sequences, sequences)
            var scores = [Double](repeating: 0, count: corpusSize + 1)
            let repeats = Dictionary(queryTokens.map { ($0, 1) }, uniquingKeysWith: +)
            // In ascending order, so that the same tokens give the same sum to the last bit, whatever their order.
            for (token, count) in repeats.sorted(by: { $0.key < $1.key }) {
                var rowids = try Self.postings(of: token, db)
                if corpusSize < sequences { rowids.removeAll { $0 > corpusSize } }
                let weight =
                    Double(count) * Self.inverseFrequency(corpusSize: corpusSize, sequencesWithToken: rowids.count)
                for rowid in rowids {
                    guard scores.indices.contains(Int(rowid)) else {
                        throw CorpusError.damaged(
                            file: store.file, reason: "token \(token) is indexed for a sequence that does not exist")
                    }
                    scores[Int(rowid)] += weight
                }
            }

            var best = TopMatches(limit: limit)
            if let source {
                let ranges = try CorpusStore.sequenceRanges(source: source, asOf: Int64(corpusSize), db)
                for rowid in ranges.joined() where scores[Int(rowid)] > 0 {
                    best.insert(Match(rowid: rowid, score: scores[Int(rowid)]))
                }
            } else {
                for (rowid, score) in scores.enumerated() where score > 0 {
                    best.insert(Match(rowid: Int64(rowid), score: score))
                }
            }
            return best.sorted()
        }
    }

    /// In how many sequences a token occurs: n_t.
    public func sequencesWithToken(_ token: Int32) throws -> Int {
        try store.read { db in
            try Int.fetchOne(
                db, sql: "SELECT COALESCE(SUM(count), 0) FROM postings WHERE key BETWEEN ? AND ?",
                arguments: [Self.key(token, 0), Self.key(token, UInt32.max)]) ?? 0
        }
    }

    /// IDF(t) of equation 29, in nats.
    static func inverseFrequency(corpusSize: Int, sequencesWithToken: Int) -> Double {
        let frequency = Double(sequencesWithToken)
        return log((Double(corpusSize) - frequency + 0.5) / (frequency + 0.5) + 1)
    }
}

// MARK: - Storage

extension TermIndex {
    static func createTable(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE postings (
                    key INTEGER PRIMARY KEY,
                    last INTEGER NOT NULL,
                    count INTEGER NOT NULL,
                    deltas BLOB NOT NULL
                ) STRICT
                """)
    }

    /// Adds sequences, whose rowids are above all that the index has. Belongs into the transaction that adds the sequences.
    static func append(_ additions: [Addition], to db: Database) throws {
        // Sorted pairs of token and rowid: each token's rowids lie together, and the table is visited from front to back.
        var keys: [Int64] = []
        keys.reserveCapacity(additions.reduce(0) { $0 + $1.tokens.count })
        for addition in additions {
            guard let rowid = UInt32(exactly: addition.rowid) else {
                throw CorpusError.tooManySequences(limit: Int(UInt32.max))
            }
            for token in addition.tokens {
                keys.append(key(token, rowid))
            }
        }
        keys.sort()

        var start = 0
        while start < keys.count {
            let token = keys[start] >> 32
            var rowids: [Int64] = []
            while start < keys.count, keys[start] >> 32 == token {
                let rowid = keys[start] & Int64(UInt32.max)
                if rowids.last != rowid { rowids.append(rowid) }
                start += 1
            }
            try append(rowids, ofToken: token, to: db)
        }
    }

    private static func append(_ rowids: [Int64], ofToken token: Int64, to db: Database) throws {
        var block = try lastBlock(ofToken: token, db)
        for rowid in rowids {
            if block?.append(rowid) == true { continue }
            try block?.save(db)
            block = PostingBlock(token: token, first: rowid)
        }
        try block?.save(db)
    }

    private static func lastBlock(ofToken token: Int64, _ db: Database) throws -> PostingBlock? {
        try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM postings WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1"),
            arguments: [token << 32, token << 32 | Int64(UInt32.max)]
        ).map(PostingBlock.init)
    }

    /// The rowids of all sequences with a token, ascending.
    static func postings(of token: Int32, _ db: Database) throws -> [Int64] {
        let blocks = try Row.fetchCursor(
            db.cachedStatement(sql: "SELECT * FROM postings WHERE key BETWEEN ? AND ? ORDER BY key"),
            arguments: [key(token, 0), key(token, UInt32.max)])
        var rowids: [Int64] = []
        while let row = try blocks.next() {
            PostingBlock(row).appendRowids(to: &rowids)
        }
        return rowids
    }

    private static func key(_ token: Int32, _ rowid: UInt32) -> Int64 {
        Int64(token) << 32 | Int64(rowid)
    }
}

/// One row of the table.
private struct PostingBlock {
    private let key: Int64
    private var last: Int64
    private var count: Int64
    private var deltas: [UInt8]

    init(token: Int64, first: Int64) {
        key = token << 32 | first
        last = first
        count = 1
        deltas = []
    }

    init(_ row: Row) {
        key = row[0]
        last = row[1]
        count = row[2]
        deltas = [UInt8](row[3] as Data)
    }

    /// Adds a rowid above all others, unless the block is full.
    mutating func append(_ rowid: Int64) -> Bool {
        var delta = UInt64(bitPattern: rowid &- last)
        let length = max(1, (UInt64.bitWidth - delta.leadingZeroBitCount + 6) / 7)
        guard deltas.count + length <= TermIndex.blockCapacity else { return false }
        while delta >= 0x80 {
            deltas.append(UInt8(truncatingIfNeeded: delta) | 0x80)
            delta >>= 7
        }
        deltas.append(UInt8(delta))
        last = rowid
        count += 1
        return true
    }

    func appendRowids(to rowids: inout [Int64]) {
        var rowid = key & Int64(UInt32.max)
        rowids.append(rowid)
        var delta: Int64 = 0
        var shift: Int64 = 0
        for byte in deltas {
            delta |= Int64(byte & 0x7f) << shift
            shift += 7
            guard byte < 0x80 else { continue }
            rowid &+= delta
            rowids.append(rowid)
            delta = 0
            shift = 0
        }
    }

    func save(_ db: Database) throws {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO postings VALUES (?, ?, ?, ?)")
            .execute(arguments: [key, last, count, Data(deltas)])
    }
}
