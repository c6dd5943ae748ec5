/// The best of many matches, in a heap with the worst of them on top.
public struct TopMatches: Sendable {
    private let limit: Int
    private var heap: [TermIndex.Match] = []

    /// Keeps the `limit` best, at least one.
    public init(limit: Int) {
        self.limit = limit
    }

    /// What the score of a further match must exceed to be one of the best, if it comes after them: 0 while there is room.
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

    /// Best first.
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

extension TermIndex.Match {
    /// Higher scores come first; among equals, lower rowids.
    fileprivate func isBetter(than other: TermIndex.Match) -> Bool {
        score == other.score ? rowid < other.rowid : score > other.score
    }
}
