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
/// The postings are in the ``PostingTable``, as bits where a token is in many sequences. A search reads those of the query's tokens and
/// adds up all sequences' scores, thirty-two at a time: nothing is left out by bounds, so that the ranking is that of the equations to
/// the last bit, and a search takes as long for a common question as for an odd one. Nothing is kept in memory between searches.
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
    /// - Complexity: For each different token of the query, at most an eighth of a byte read and an addition per sequence of the corpus.
    public func search(
        queryTokens: [Int32], limit: Int, source: String? = nil, asOf count: Int? = nil
    ) throws -> [Match] {
        guard limit > 0, !queryTokens.isEmpty else { return [] }
        return try store.read { db in
            let sequences = try CorpusState.fetch(db).statistics.sequences
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
                guard isSound else { throw CorpusError.damagedPostings(of: range, file: store.file) }
            }
            return best.sorted()
        }
    }

    /// The scores of the first sequences of the corpus, as many as are asked for, at most as many as there are.
    ///
    /// - Complexity: For each different token of the query, at most an eighth of a byte read per sequence of the corpus.
    public func scores(queryTokens: [Int32], asOf count: Int) throws -> TermScores {
        try store.read { db in
            let sequences = try CorpusState.fetch(db).statistics.sequences
            let corpusSize = max(0, min(count, sequences))
            let postings = try weightedPostings(
                corpusSize > 0 ? queryTokens : [], corpusSize: corpusSize, of: sequences, db)
            return TermScores(postings, count: corpusSize, file: store.file)
        }
    }

    /// In how many sequences a token occurs: n_t.
    public func sequencesWithToken(_ token: Int32) throws -> Int {
        try store.read { db in try PostingTable(db: db).sequences(with: token) }
    }

    /// IDF(t) of equation 29, in nats.
    static func inverseFrequency(corpusSize: Int, sequencesWithToken: Int) -> Double {
        let frequency = Double(sequencesWithToken)
        return log((Double(corpusSize) - frequency + 0.5) / (frequency + 0.5) + 1)
    }

    /// The postings of a query's tokens among the first sequences of the corpus, which has `sequences` of them.
    private func weightedPostings(
        _ queryTokens: [Int32], corpusSize: Int, of sequences: Int, _ db: Database
    ) throws -> WeightedPostings {
        let table = PostingTable(db: db)
        var postings = WeightedPostings(last: corpusSize)
        let repeats = Dictionary(queryTokens.map { ($0, 1) }, uniquingKeysWith: +)
        // In ascending order, so that the same tokens give the same sum to the last bit, whatever their order.
        for (token, repeats) in repeats.sorted(by: { $0.key < $1.key }) {
            var sequencesWithToken = 0
            try table.forEachBlock(of: token) { stretch, block in
                guard stretch * PostingBlock.span + block.last <= sequences else {
                    throw damaged("token \(token) is indexed for a sequence that does not exist")
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

    private func damaged(_ reason: String) -> CorpusError {
        .damaged(file: store.file, reason: reason)
    }
}
