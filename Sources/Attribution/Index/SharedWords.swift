import Corpus

/// What sequences have in common with a query other than their influence: a second opinion on the index's estimates.
public struct SharedWords: Sendable {
    /// Two tokens, one right behind the other.
    public struct Pair: Hashable, Sendable {
        let first: Int32
        let second: Int32
    }

    /// Reads the scores of shared words, from the first sequence on.
    let scores: @Sendable () throws -> TermScores
    /// Those of the query that end in its completion.
    let pairs: Set<Pair>
    /// Reads the tokens of sequences, by their rowids.
    let tokens: @Sendable ([Int64]) throws -> [[Int32]]

    /// How many of the pairs each of some sequences has.
    func pairCounts(in rowids: [Int64]) throws -> [Int] {
        guard !pairs.isEmpty else { return rowids.map { _ in 0 } }
        return try tokens(rowids).map { tokens in
            Set(zip(tokens, tokens.dropFirst()).lazy.map(Pair.init)).intersection(pairs).count
        }
    }
}
