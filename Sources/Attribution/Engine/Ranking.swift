/// The candidates of one query in the order of their scores, and the probes beside them.
///
/// Invariant: all scores are finite. A candidate whose score is not has no place among the others, and is counted.
struct Ranking {
    /// A candidate and its score: the swept one, or the full-rank one where it was scored again.
    struct Entry {
        let rowid: Int64
        var score: SequenceScore
        var isRescored = false
    }

    private(set) var entries: [Entry]
    /// Sequences that are no candidates, and take no candidate's place.
    private(set) var probes: [Entry]
    /// How many candidates have a score that is not finite.
    private(set) var notFinite = 0

    /// - Parameters:
    ///   - entries: In any order; equal scores are ranked by rowid, so that a ranking does not depend on it.
    ///   - probes: In any order; those whose scores are not finite say nothing of the others, and are left out.
    init(_ entries: [Entry], probes: [Entry] = []) {
        self.entries = entries
        self.probes = probes
        order()
    }

    /// The leading candidates in each direction asked for, and the probes that would be among them.
    func leading(_ count: Int, _ direction: InfluenceQuery.Direction) -> [Int64] {
        var leading: [Int64] = []
        if direction != .negative {
            leading += entries.prefix(count).map(\.rowid)
            leading += probes.prefix { rank(ofProponent: $0) <= count }.map(\.rowid)
        }
        if direction != .positive {
            leading += entries.suffix(count).map(\.rowid)
            leading += probes.reversed().prefix { rank(ofOpponent: $0) <= count }.map(\.rowid)
        }
        return Array(Set(leading)).sorted()
    }

    /// Replaces scores, and ranks again.
    mutating func replace(_ scores: [Int64: SequenceScore], isRescored: Bool) {
        func replace(_ entry: inout Entry) {
            guard let score = scores[entry.rowid] else { return }
            entry.score = score
            entry.isRescored = entry.isRescored || isRescored
        }
        for index in entries.indices { replace(&entries[index]) }
        for index in probes.indices { replace(&probes[index]) }
        order()
    }

    /// The probes that would be returned were they candidates, with the rank that each would have among these, the strongest first.
    func rankedProbes(_ count: Int, _ direction: InfluenceQuery.Direction) -> [(rank: Int, entry: Entry)] {
        var ranked: [(rank: Int, entry: Entry)] = []
        if direction != .negative {
            ranked += probes.prefix { $0.score.total > 0 }.map { (rank(ofProponent: $0), $0) }
        }
        if direction != .positive {
            ranked += probes.reversed().prefix { $0.score.total < 0 }.map { (rank(ofOpponent: $0), $0) }
        }
        return ranked.filter { $0.rank <= count }
            .sorted { abs($0.entry.score.total) > abs($1.entry.score.total) }
    }

    private func rank(ofProponent probe: Entry) -> Int {
        1 + entries.partitioningIndex { $0.score.total <= probe.score.total }
    }

    private func rank(ofOpponent probe: Entry) -> Int {
        1 + entries.count - entries.partitioningIndex { $0.score.total < probe.score.total }
    }

    /// Proponents, likeliest first, or opponents, most opposed first: never one in place of the other.
    func proponents(_ count: Int) -> [Entry] { Array(entries.prefix(count).prefix { $0.score.total > 0 }) }
    func opponents(_ count: Int) -> [Entry] { Array(entries.suffix(count).reversed().prefix { $0.score.total < 0 }) }

    /// All of them: first those that are no opponents, then the opponents.
    func everyProponent() -> [Entry] { entries.filter { $0.score.total >= 0 } }
    func everyOpponent() -> [Entry] { entries.reversed().filter { $0.score.total < 0 } }

    /// What a query is answered with, each with its rank: for both directions first the proponents.
    func returned(to query: InfluenceQuery) -> [(rank: Int, entry: Entry)] {
        let isGiven = query.candidates.texts != nil
        let wantsProponents = isGiven || query.direction != .negative
        let wantsOpponents = isGiven || query.direction != .positive
        let up = wantsProponents ? isGiven ? everyProponent() : proponents(query.topK) : []
        let down = wantsOpponents ? isGiven ? everyOpponent() : opponents(query.topK) : []
        return (Array(up.enumerated()) + Array(down.enumerated())).map { ($0.offset + 1, $0.element) }
    }

    private mutating func order() {
        let count = entries.count
        entries.removeAll { !$0.score.isFinite }
        probes.removeAll { !$0.score.isFinite }
        notFinite += count - entries.count
        entries.sort { ($0.score.total, $1.rowid) > ($1.score.total, $0.rowid) }
        probes.sort { ($0.score.total, $1.rowid) > ($1.score.total, $0.rowid) }
    }
}

extension [Ranking.Entry] {
    /// The first place, in a list that has none of these before others, of one for which something holds.
    fileprivate func partitioningIndex(where belongs: (Ranking.Entry) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
