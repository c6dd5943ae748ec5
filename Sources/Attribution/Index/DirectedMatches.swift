import Corpus

struct DirectedMatches: Sendable {
    private var proponents: TopMatches?
    private var opponents: TopMatches?
    private let within: [ClosedRange<Int64>]?

    /// - Parameters:
    ///   - sequences: The number of sequences, which no direction can exceed.
    ///   - factor: The number of matches, as a multiple of the matches that the query asks for.
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

    /// Adds scores, of which the highest are the best proponents and the lowest the best opponents.
    mutating func insert(_ scores: [Float], firstRowid: Int64) {
        for index in indices(of: scores, firstRowid: firstRowid) where scores[index].isFinite {
            let score = Double(scores[index])
            proponents?.insert(TermIndex.Match(rowid: firstRowid + Int64(index), score: score))
            opponents?.insert(TermIndex.Match(rowid: firstRowid + Int64(index), score: -score))
        }
    }

    /// Adds one score per direction, of which the highest are the best.
    mutating func insert(_ proponentScores: [Double], opponents opponentScores: [Double], firstRowid: Int64) {
        for index in indices(of: proponentScores, firstRowid: firstRowid) where proponentScores[index].isFinite {
            let rowid = firstRowid + Int64(index)
            insert(rowid, proponent: proponentScores[index], opponent: opponentScores[index])
        }
    }

    /// Adds the scores of one sequence, whether or not the query searches its source.
    mutating func insert(_ rowid: Int64, proponent: Double, opponent: Double) {
        proponents?.insert(TermIndex.Match(rowid: rowid, score: proponent))
        opponents?.insert(TermIndex.Match(rowid: rowid, score: opponent))
    }

    /// The indices of those scores whose sequences the query searches.
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
