/// The scores that a query's tokens give the first sequences of a corpus, found a stretch at a time: ``TermIndex/scores(queryTokens:asOf:)``.
///
/// In memory are the postings of the query's tokens, an eighth of a byte per sequence and token at most, and the scores of one stretch:
/// never a score for each sequence of the corpus.
public struct TermScores: Sendable {
    /// How many sequences the scores are of.
    public let count: Int
    private let file: String
    private var postings: WeightedPostings
    private var stretch: [Double] = []

    init(_ postings: WeightedPostings, count: Int, file: String) {
        self.postings = postings
        self.count = count
        self.file = file
    }

    /// Hands over the scores stretch by stretch, in ascending order. Stretches without any match are passed over.
    ///
    /// - Parameter body: Receives the rowid of a stretch's first sequence and the scores from there on, 0 for a sequence that shares no
    ///   token.
    /// - Throws: ``CorpusError/damaged(file:reason:)``.
    /// - Complexity: For each different token of the query, an addition per sequence of these stretches.
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
    static func damagedPostings(of range: Range<Int>, file: String) -> CorpusError {
        .damaged(file: file, reason: "postings of sequences \(range.lowerBound) and later are not as written")
    }
}
