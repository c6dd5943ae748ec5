/// The candidates of one query in the order of their scores.
struct Ranking {
    /// A candidate and its score: the swept one, or the full-rank one where it was scored again.
    struct Entry {
        let rowid: Int64
        var score: SequenceScore
        var isRescored = false
    }

    private(set) var entries: [Entry]

    /// - Parameter entries: In any order; equal scores are ranked by rowid, so that a ranking does not depend on it.
    init(_ entries: [Entry]) {
        self.entries = entries
        sort()
    }

    /// The leading candidates in each direction asked for.
    func leading(_ count: Int, _ direction: InfluenceQuery.Direction) -> [Int64] {
        var leading: [Int64] = []
        if direction != .negative { leading += entries.prefix(count).map(\.rowid) }
        if direction != .positive { leading += entries.suffix(count).map(\.rowid) }
        return Array(Set(leading)).sorted()
    }

    /// Replaces scores, and ranks anew.
    mutating func replace(_ scores: [Int64: SequenceScore], isRescored: Bool) {
        for index in entries.indices {
            guard let score = scores[entries[index].rowid] else { continue }
            entries[index].score = score
            entries[index].isRescored = entries[index].isRescored || isRescored
        }
        sort()
    }

    /// Proponents, likeliest first, or opponents, most opposed first: never one in place of the other.
    func proponents(_ count: Int) -> [Entry] { Array(entries.prefix(count).prefix { $0.score.total > 0 }) }
    func opponents(_ count: Int) -> [Entry] { Array(entries.suffix(count).reversed().prefix { $0.score.total < 0 }) }

    /// All of them: first those that are no opponents, then the opponents.
    func everyProponent() -> [Entry] { entries.filter { $0.score.total >= 0 } }
    func everyOpponent() -> [Entry] { entries.reversed().filter { $0.score.total < 0 } }

    private mutating func sort() {
        entries.sort { ($0.score.total, $1.rowid) > ($1.score.total, $0.rowid) }
    }
}
