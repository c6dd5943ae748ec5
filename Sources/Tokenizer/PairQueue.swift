/// Pairs of tokens with their counts, the most frequent first: a heap in which each pair knows its place, so that its
/// count can change where it is.
struct PairQueue {
    struct Pair {
        let index: Int
        let left: Int32
        let right: Int32
        var count = 0

        /// Whether this pair is merged before another: the more frequent, then the one with the lower ids.
        func precedes(_ other: Pair) -> Bool {
            if count != other.count { return count > other.count }
            return left != other.left ? left < other.left : right < other.right
        }
    }

    private var pairs: [Pair] = []
    private var heap: [Int] = []
    /// For each pair its place in the heap; -1 for those retired, and for all before ``order()``.
    private var places: [Int] = []
    private var isOrdered = false

    var first: Pair? { heap.first.map { pairs[$0] } }

    /// Adds a pair that was not there before, with a count of zero, and says its index.
    mutating func append(left: Int32, right: Int32) -> Int {
        let index = pairs.count
        pairs.append(Pair(index: index, left: left, right: right))
        places.append(-1)
        if isOrdered {
            places[index] = heap.count
            heap.append(index)
            rise(from: heap.count - 1)
        }
        return index
    }

    /// Makes a heap of the pairs added so far; later ones find their place as they come.
    mutating func order() {
        heap = pairs.indices.sorted { pairs[$0].precedes(pairs[$1]) }
        for (place, index) in heap.enumerated() { places[index] = place }
        isOrdered = true
    }

    /// Changes a pair's count. One that is retired stays so.
    mutating func change(_ index: Int, by change: Int) {
        pairs[index].count += change
        guard places[index] >= 0 else { return }
        if change > 0 { rise(from: places[index]) } else { sink(from: places[index]) }
    }

    /// Takes a pair out for good.
    mutating func retire(_ index: Int) {
        let place = places[index]
        guard place >= 0, let last = heap.popLast() else { return }
        places[index] = -1
        guard last != index else { return }
        heap[place] = last
        places[last] = place
        rise(from: place)
        sink(from: places[last])
    }

    private mutating func rise(from start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard pairs[heap[place]].precedes(pairs[heap[parent]]) else { return }
            exchange(place, parent)
            place = parent
        }
    }

    private mutating func sink(from start: Int) {
        var place = start
        while true {
            var foremost = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && pairs[heap[child]].precedes(pairs[heap[foremost]]) {
                foremost = child
            }
            guard foremost != place else { return }
            exchange(place, foremost)
            place = foremost
        }
    }

    private mutating func exchange(_ first: Int, _ second: Int) {
        heap.swapAt(first, second)
        places[heap[first]] = first
        places[heap[second]] = second
    }
}
