/// Merges the symbols of a word pair by pair, lowest rank first and leftmost among equals, until no merge applies.
///
/// Keeps its buffers for the next word.
struct PairMerger: Sendable {
    /// The word's symbols: those of its bytes before merging, its tokens afterwards.
    private(set) var symbols: [Int32] = []
    /// The end of each token of a long word, counted in initial symbols; empty for other words.
    private(set) var ends: [Int] = []
    /// For each symbol, its merge with the next one.
    private var entries: [MergeTable.Entry] = []

    /// For each symbol of a long word, its current neighbours; -1 at the ends.
    private var previous: [Int] = []
    private var next: [Int] = []
    private var heap: [Candidate] = []

    /// From this many symbols on, a heap finds the next pair: scanning all pairs takes quadratic time.
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
            // If the rank has changed since the candidate was queued, one of its two symbols was merged away. If it has not, the
            // pair is next, even if it is another pair than the one that was queued.
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

struct MergeTable: Sendable {
    /// The merge of a pair; lower ranks come first.
    struct Entry: Sendable, Equatable {
        let rank: Int32
        let merged: Int32

        static let none = Entry(rank: MergeTable.none, merged: 0)
    }

    /// The rank of a pair that is never merged.
    static let none = Int32.max

    private struct Slot {
        var pair: UInt64
        var entry: Entry
    }

    /// Open addressing, at most half of the slots taken; free ones have the rank ``none``.
    private let slots: [Slot]
    private let shift: UInt64

    /// - Parameters:
    ///   - merges: A later merge of the same pair replaces an earlier one.
    ///   - ranks: One per merge; nil if a merge's rank is its index.
    init(_ merges: [Merge], ranks: [Int32]? = nil) {
        var bits: UInt64 = 4
        while 1 << bits < 2 * merges.count { bits += 1 }
        shift = 64 - bits
        let mask = 1 << Int(bits) - 1
        var slots = [Slot](repeating: Slot(pair: 0, entry: .none), count: mask + 1)
        for (index, merge) in merges.enumerated() {
            let pair = pairKey(merge.left, merge.right)
            var slot = fibonacciHash(of: pair, shift: 64 - bits)
            while slots[slot].entry.rank != Self.none, slots[slot].pair != pair { slot = (slot + 1) & mask }
            slots[slot] = Slot(pair: pair, entry: Entry(rank: ranks?[index] ?? Int32(index), merged: merge.merged))
        }
        self.slots = slots
    }

    @inline(__always)
    func entry(of left: Int32, _ right: Int32) -> Entry {
        let pair = pairKey(left, right)
        var slot = fibonacciHash(of: pair, shift: shift)
        while slots[slot].entry.rank != Self.none {
            if slots[slot].pair == pair { return slots[slot].entry }
            slot = (slot + 1) & (slots.count - 1)
        }
        return .none
    }
}
