import Corpus

/// The best matches of a query in its directions.
struct DirectedMatches: Sendable {
    private var proponents: TopMatches?
    private var opponents: TopMatches?
    private let within: [ClosedRange<Int64>]?

    /// - Parameters:
    ///   - sequences: How many there are, of which neither direction can find more.
    ///   - factor: For this many times as many matches as the query asks for.
    init(_ query: GradientIndex.Query, of sequences: Int, times factor: Int = 1) {
        let limit = min(query.limit, 2 * sequences) * factor
        let (most, least) = ((limit + 1) / 2, limit / 2)
        switch query.direction {
        case .positive: proponents = TopMatches(limit: limit)
        case .negative: opponents = TopMatches(limit: limit)
        case .both:
            proponents = TopMatches(limit: most)
            if least > 0 { opponents = TopMatches(limit: least) }
        }
        within = query.within
    }

    /// Takes scores of which the highest are the best proponents and the lowest the best opponents.
    mutating func insert(_ scores: [Float], firstRowid: Int64) {
        for index in indices(of: scores, firstRowid: firstRowid) where scores[index].isFinite {
            let score = Double(scores[index])
            proponents?.insert(TermIndex.Match(rowid: firstRowid + Int64(index), score: score))
            opponents?.insert(TermIndex.Match(rowid: firstRowid + Int64(index), score: -score))
        }
    }

    /// Takes scores of which the highest are the best on either side.
    mutating func insert(_ proponentScores: [Double], opponents opponentScores: [Double], firstRowid: Int64) {
        for index in indices(of: proponentScores, firstRowid: firstRowid) where proponentScores[index].isFinite {
            let rowid = firstRowid + Int64(index)
            insert(rowid, proponent: proponentScores[index], opponent: opponentScores[index])
        }
    }

    /// Takes the scores of one sequence, whatever its source.
    mutating func insert(_ rowid: Int64, proponent: Double, opponent: Double) {
        proponents?.insert(TermIndex.Match(rowid: rowid, score: proponent))
        opponents?.insert(TermIndex.Match(rowid: rowid, score: opponent))
    }

    /// Where the scores of sequences that count are.
    private func indices(of scores: [some BinaryFloatingPoint], firstRowid: Int64) -> [Int] {
        guard let within, !scores.isEmpty else { return Array(scores.indices) }
        let last = firstRowid + Int64(scores.count) - 1
        return within.filter { $0.upperBound >= firstRowid && $0.lowerBound <= last }.flatMap { range in
            let part = range.clamped(to: firstRowid...last)
            return Int(part.lowerBound - firstRowid)...Int(part.upperBound - firstRowid)
        }
    }

    mutating func insert(_ other: DirectedMatches) {
        for match in other.proponents?.sorted() ?? [] { proponents?.insert(match) }
        for match in other.opponents?.sorted() ?? [] { opponents?.insert(match) }
    }

    var rowids: [Int64] {
        Set([proponents, opponents].flatMap { $0?.sorted().map(\.rowid) ?? [] }).sorted()
    }
}
