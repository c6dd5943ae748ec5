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
/// equation 28 is the same for all tokens and sequences, and is omitted. The tokenization's prefix, which every sequence has,
/// is not part of its text and is not indexed.
///
/// The ``PostingTable`` stores the postings, as bits where many sequences have a token. A search reads those of the query's tokens and adds
/// up the scores of all sequences, thirty-two at a time. It skips no sequence by a bound on its score: the ranking follows the equations to
/// the last bit, and frequent tokens take no longer than rare ones. Nothing is kept in memory between searches.
public struct TermIndex: Sendable {
    /// A sequence that shares tokens with a query, or is similar to it in another way.
    public struct Match: Sendable, Equatable {
        public let rowid: Int64

        /// In nats and more than 0, if the score is the lexical overlap.
        public let score: Double

        public init(rowid: Int64, score: Double) {
            self.rowid = rowid
            self.score = score
        }

        /// Higher scores come first; among equals, lower rowids.
        fileprivate func isBetter(than other: Match) -> Bool {
            score == other.score ? rowid < other.rowid : score > other.score
        }
    }

    private let database: DatabasePool
    private let file: String

    /// - Parameter file: The path of the corpus file, for errors.
    init(database: DatabasePool, file: String) {
        self.database = database
        self.file = file
    }

    /// The sequences with the highest scores, best first; among equals, those added earlier first.
    ///
    /// - Parameters:
    ///   - queryTokens: The query's token ids, in any order, repeats included.
    ///   - limit: The most sequences to return.
    ///   - source: If given, only sequences of this source are returned; C and n_t remain those of the whole corpus.
    ///   - count: If given, the search sees the corpus as it was when it had this many sequences. This is exact, as rows are only added.
    /// - Returns: At most `limit` sequences, each with at least one token of the query.
    /// - Complexity: For each distinct token of the query, at most an eighth of a byte read and one addition per sequence of the corpus.
    public func search(
        queryTokens: [Int32], limit: Int, source: String? = nil, asOf count: Int? = nil
    ) throws -> [Match] {
        guard limit > 0, !queryTokens.isEmpty else { return [] }
        return try read { db in
            let sequences = try Self.sequenceCount(db)
            let corpusSize = min(count ?? sequences, sequences)
            guard corpusSize > 0 else { return [] }
            var postings = try weightedPostings(queryTokens, corpusSize: corpusSize, of: sequences, db)
            let sources = SourceTable(db: db)

            var best = TopMatches(limit: limit)
            for range in Array(postings.ranges) {
                let ofSource = try source.map {
                    try sources.bits(of: $0, stretch: range.lowerBound / PostingBlock.span) ?? PostingBlock.noBits
                }
                let isSound = postings.forEachMatch(in: range, above: best.threshold) { rowid, score in
                    let distance = rowid - range.lowerBound
                    if let ofSource, ofSource[distance / 8] >> UInt8(distance % 8) & 1 == 0 { return }
                    best.insert(Match(rowid: Int64(rowid), score: score))
                }
                guard isSound else { throw CorpusError.damagedPostings(of: range, file: file) }
            }
            return best.sorted()
        }
    }

    /// The scores of the first `count` sequences of the corpus, or of all if there are fewer.
    ///
    /// - Complexity: For each distinct token of the query, at most an eighth of a byte read per sequence of the corpus.
    public func scores(queryTokens: [Int32], asOf count: Int) throws -> TermScores {
        try read { db in
            let sequences = try Self.sequenceCount(db)
            let corpusSize = max(0, min(count, sequences))
            let postings = try weightedPostings(
                corpusSize > 0 ? queryTokens : [], corpusSize: corpusSize, of: sequences, db)
            return TermScores(postings, count: corpusSize, file: file)
        }
    }

    /// The number of sequences in which a token occurs: n_t.
    public func sequencesWithToken(_ token: Int32) throws -> Int {
        try read { db in try PostingTable(db: db).sequences(with: token) }
    }

    /// IDF(t) of equation 29, in nats.
    static func inverseFrequency(corpusSize: Int, sequencesWithToken: Int) -> Double {
        let frequency = Double(sequencesWithToken)
        return log((Double(corpusSize) - frequency + 0.5) / (frequency + 0.5) + 1)
    }

    static func sequenceCount(_ db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "SELECT sequences FROM corpus") ?? 0
    }

    /// The postings of a query's tokens among the first `corpusSize` sequences of a corpus that has `sequences`.
    private func weightedPostings(
        _ queryTokens: [Int32], corpusSize: Int, of sequences: Int, _ db: Database
    ) throws -> WeightedPostings {
        let table = PostingTable(db: db)
        var postings = WeightedPostings(last: corpusSize)
        let repeats = Dictionary(queryTokens.map { ($0, 1) }, uniquingKeysWith: +)
        // Tokens are visited in ascending order, so that the same tokens give the same sum to the last bit, whatever their order in the
        // query.
        for (token, repeats) in repeats.sorted(by: { $0.key < $1.key }) {
            var sequencesWithToken = 0
            try table.forEachBlock(of: token) { stretch, block in
                guard stretch * PostingBlock.span + block.last <= sequences else {
                    throw CorpusError.damaged(
                        file: file, reason: "token \(token) is indexed for a sequence that does not exist")
                }
                let remaining = corpusSize + 1 - stretch * PostingBlock.span
                guard let block = block.last < remaining ? block : block.prefix(remaining) else { return }
                sequencesWithToken += block.count
                postings.append(block, stretch: stretch)
            }
            postings.endToken(
                weight: Double(repeats)
                    * Self.inverseFrequency(corpusSize: corpusSize, sequencesWithToken: sequencesWithToken))
        }
        return postings
    }

    private func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try database.read(body) } catch { throw CorpusError.mapped(error, file: file) }
    }
}

/// The scores that a query's tokens give the first sequences of a corpus, computed one stretch at a time
/// (``TermIndex/scores(queryTokens:asOf:)``).
///
/// Memory holds the postings of the query's tokens, at most an eighth of a byte per sequence and token, and the scores of one stretch:
/// never a score for each sequence of the corpus.
public struct TermScores: Sendable {
    /// The number of sequences that are scored.
    public let count: Int
    private let file: String
    private var postings: WeightedPostings
    private var stretch: [Double] = []

    init(_ postings: WeightedPostings, count: Int, file: String) {
        self.postings = postings
        self.count = count
        self.file = file
    }

    /// Calls the body with the scores of each stretch, in ascending order. Stretches without a match are skipped.
    ///
    /// - Parameter body: Receives the rowid of a stretch's first sequence and the scores from there on, 0 for a sequence that shares no
    ///   token.
    /// - Throws: ``CorpusError/damaged(file:reason:)``.
    /// - Complexity: For each distinct token of the query, one addition per sequence of these stretches.
    public mutating func forEachStretch(_ body: (_ firstRowid: Int64, _ scores: ArraySlice<Double>) -> Void) throws {
        for range in Array(postings.ranges) {
            stretch.removeAll(keepingCapacity: true)
            stretch.append(contentsOf: repeatElement(0, count: range.count))
            let isSound = postings.forEachMatch(in: range, above: 0) { stretch[$0 - range.lowerBound] = $1 }
            guard isSound else { throw CorpusError.damagedPostings(of: range, file: file) }
            // Rowids begin with 1.
            let first = max(range.lowerBound, 1)
            body(Int64(first), stretch[(first - range.lowerBound)...])
        }
    }
}

extension CorpusError {
    fileprivate static func damagedPostings(of range: Range<Int>, file: String) -> CorpusError {
        .damaged(
            file: file, reason: "the postings of sequences \(range.lowerBound) and later are not as they were written")
    }
}

/// The best of many matches, in a heap with the worst of them on top.
public struct TopMatches: Sendable {
    private let limit: Int
    private var heap: [TermIndex.Match] = []

    /// - Parameter limit: The number of matches to keep, at least one.
    public init(limit: Int) {
        self.limit = limit
    }

    /// The score that a further match with a higher rowid must exceed to be kept: 0 until `limit` matches are kept.
    var threshold: Double { heap.count < limit ? 0 : heap[0].score }

    public mutating func insert(_ match: TermIndex.Match) {
        if heap.count < limit {
            heap.append(match)
            siftUp()
        } else if match.isBetter(than: heap[0]) {
            heap[0] = match
            siftDown()
        }
    }

    /// The matches, best first.
    public func sorted() -> [TermIndex.Match] {
        heap.sorted { $0.isBetter(than: $1) }
    }

    private mutating func siftUp() {
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[parent].isBetter(than: heap[child]) else { return }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var worst = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[worst].isBetter(than: heap[child]) { worst = child }
            }
            guard worst != parent else { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }
}
