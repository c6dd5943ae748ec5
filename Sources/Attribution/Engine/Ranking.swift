/// The candidates of one query in the order of their scores, and the probes beside them.
///
/// Invariant: all scores are finite. Candidates whose scores are not finite are kept apart.
struct Ranking {
    /// A candidate and its score: the score of the sweep, or the full-rank score if the candidate was scored again.
    struct Entry {
        let rowid: Int64
        var score: SequenceScore
        var isRescored = false
    }

    private(set) var entries: [Entry]
    /// Sequences that are not candidates, and do not affect the candidates' ranks.
    private(set) var probes: [Entry]
    /// The candidates whose scores are not finite.
    private(set) var notFinite: [Entry] = []

    /// - Parameters:
    ///   - entries: In any order. Equal scores are ranked by rowid, so that a ranking does not depend on that order.
    ///   - probes: In any order. Those whose scores are not finite are left out.
    init(_ entries: [Entry], probes: [Entry] = []) {
        self.entries = entries
        self.probes = probes
        order()
    }

    /// The leading candidates in each direction that was asked for, and the probes that would be among them.
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

    /// The probes that would be returned if they were candidates, each with the rank that it would have, the strongest first.
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

    /// The sequences that a query returns, each with its rank: the strongest proponents, and then the strongest opponents. All ad-hoc texts
    /// are returned, those that are not opponents first.
    func returned(to query: InfluenceQuery) -> [(rank: Int, entry: Entry)] {
        var (up, down): ([Entry], [Entry]) = ([], [])
        if query.candidates.texts != nil {
            up = entries.filter { $0.score.total >= 0 }
            down = entries.reversed().filter { $0.score.total < 0 }
        } else {
            if query.direction != .negative { up = Array(entries.prefix(query.topK).prefix { $0.score.total > 0 }) }
            if query.direction != .positive {
                down = Array(entries.suffix(query.topK).reversed().prefix { $0.score.total < 0 })
            }
        }
        return (Array(up.enumerated()) + Array(down.enumerated())).map { ($0.offset + 1, $0.element) }
    }

    /// The scores of all candidates, those that are not finite included.
    func allScores() -> CandidateScores {
        let ordered = (entries + notFinite).sorted { $0.rowid < $1.rowid }
        var scores = CandidateScores(reservingCapacity: ordered.count)
        for entry in ordered {
            scores.append(rowid: entry.rowid, score: entry.score.total, isRescored: entry.isRescored)
        }
        return scores
    }

    private mutating func order() {
        notFinite += entries.filter { !$0.score.isFinite }
        entries.removeAll { !$0.score.isFinite }
        probes.removeAll { !$0.score.isFinite }
        entries.sort { ($0.score.total, $1.rowid) > ($1.score.total, $0.rowid) }
        probes.sort { ($0.score.total, $1.rowid) > ($1.score.total, $0.rowid) }
    }
}

extension [Ranking.Entry] {
    /// - Precondition: The predicate holds for all entries after one for which it holds.
    fileprivate func partitioningIndex(where belongs: (Ranking.Entry) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
