/// Joins the symbols of a word pair by pair, lowest rank first and leftmost among equals, until no pair is left that a
/// merge joins.
///
/// Holds the buffers this takes, for reuse.
struct PairMerger: Sendable {
    /// The word's symbols: its bytes' at first, its tokens when it is merged.
    private(set) var symbols: [Int32] = []
    /// Where each token of a long word ends, in symbols that it started out as. Of a word that was not long there are none.
    private(set) var ends: [Int] = []
    /// For each symbol, its merge with the next one.
    private var entries: [MergeTable.Entry] = []

    /// For each symbol of a long word, its live neighbours; -1 at the ends.
    private var previous: [Int] = []
    private var next: [Int] = []
    private var heap: [Candidate] = []

    /// From this many symbols on, a heap finds the next pair: looking through all of them takes the square of the time.
    static let longWord = 96

    private struct Candidate: Comparable {
        let rank: Int32
        let position: Int

        static func < (first: Candidate, second: Candidate) -> Bool {
            first.rank != second.rank ? first.rank < second.rank : first.position < second.position
        }
    }

    /// Takes a new word.
    ///
    /// - Parameter fill: Appends the word's symbols to an empty list.
    mutating func start(_ fill: (inout [Int32]) -> Void) {
        symbols.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        fill(&symbols)
    }

    mutating func merge(by merges: MergeTable, longWord: Int = longWord) {
        entries.removeAll(keepingCapacity: true)
        for position in symbols.indices.dropLast() {
            entries.append(merges.entry(of: symbols[position], symbols[position + 1]))
        }
        entries.append(.none)
        if symbols.count < longWord {
            mergeByScanning(merges)
        } else {
            mergeByHeap(merges)
        }
    }

    private mutating func mergeByScanning(_ merges: MergeTable) {
        while true {
            var best = MergeTable.Entry.none
            var position = 0
            for index in entries.indices where entries[index].rank < best.rank {
                best = entries[index]
                position = index
            }
            guard best.rank != MergeTable.none else { return }
            symbols[position] = best.merged
            symbols.remove(at: position + 1)
            entries.remove(at: position)
            if position + 1 < symbols.count {
                entries[position] = merges.entry(of: symbols[position], symbols[position + 1])
            }
            if position > 0 {
                entries[position - 1] = merges.entry(of: symbols[position - 1], symbols[position])
            }
        }
    }

    private mutating func mergeByHeap(_ merges: MergeTable) {
        let count = symbols.count
        guard count > 0 else { return }
        previous = Array(-1..<count - 1)
        next = Array(1...count)
        next[count - 1] = -1
        heap.removeAll(keepingCapacity: true)
        for position in 0..<count - 1 where entries[position].rank != MergeTable.none {
            push(Candidate(rank: entries[position].rank, position: position))
        }
        while let candidate = popFirst() {
            let position = candidate.position
            // A rank that has changed since the candidate was queued means that one of its two symbols was merged away;
            // one that has not, that the pair is to be merged now, whichever pair it is.
            guard entries[position].rank == candidate.rank else { continue }
            let absorbed = next[position]
            symbols[position] = entries[position].merged
            entries[absorbed] = .none
            next[position] = next[absorbed]
            previous[absorbed] = -1
            if next[position] >= 0 { previous[next[position]] = position }
            update(at: position, merges)
            if previous[position] >= 0 { update(at: previous[position], merges) }
        }
        var kept = 0
        var position = 0
        while position >= 0 {
            symbols[kept] = symbols[position]
            kept += 1
            position = next[position]
            ends.append(position < 0 ? count : position)
        }
        symbols.removeLast(count - kept)
    }

    private mutating func update(at position: Int, _ merges: MergeTable) {
        let following = next[position]
        entries[position] = following < 0 ? .none : merges.entry(of: symbols[position], symbols[following])
        if entries[position].rank != MergeTable.none {
            push(Candidate(rank: entries[position].rank, position: position))
        }
    }

    private mutating func push(_ candidate: Candidate) {
        heap.append(candidate)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child] < heap[parent] else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func popFirst() -> Candidate? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
                least = child
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
