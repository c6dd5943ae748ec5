/// The state of byte-pair training: the words with the merges so far, and the count of each pair of neighbours.
///
/// A merge visits only the words that hold its pair, and changes only the counts of the pairs beside it.
struct MergeLearner {
    /// The tokens by id, in the byte-level alphabet.
    private(set) var vocabulary: [String]
    private(set) var merges: [Merge] = []

    /// The symbols of all words. Each word keeps its start as its symbols become fewer.
    private var symbols: [Int32] = []
    private var starts: [Int] = []
    private var lengths: [Int] = []
    private let frequencies: [Int]

    private var identifiers: ByteStringTable
    private var pairs: [UInt64: Int] = [:]
    private var queue = PairQueue()
    /// For each pair, the words that hold it or held it before.
    private var holders: [[Int32]] = []

    /// - Parameters:
    ///   - byteSymbols: The id of each byte.
    ///   - vocabulary: The tokens before the first merge.
    init(words: WordCounts, byteSymbols: [Int32], vocabulary: [String]) {
        self.vocabulary = vocabulary
        frequencies = words.counts
        identifiers = ByteStringTable(minimumCapacity: 2 * vocabulary.count)
        for token in vocabulary { _ = identifiers.insert(Array(token.utf8)) }
        for word in words.counts.indices {
            starts.append(symbols.count)
            symbols += words.words[word].map { byteSymbols[Int($0)] }
            lengths.append(symbols.count - starts[word])
        }
        for word in words.counts.indices {
            for position in starts[word]..<starts[word] + max(0, lengths[word] - 1) {
                count(symbols[position], symbols[position + 1], in: word, by: frequencies[word])
            }
        }
        queue.order()
    }

    /// Merges the most frequent pair if it occurs often enough, and adds its token unless another pair made the same one.
    ///
    /// - Returns: Whether there was such a pair.
    mutating func mergeMostFrequentPair(atLeast minimum: Int) -> Bool {
        guard let best = queue.first, best.count >= max(1, minimum) else { return false }
        queue.retire(best.index)
        let (left, right) = (best.left, best.right)
        let token = vocabulary[Int(left)] + vocabulary[Int(right)]
        let merged = Int32(identifiers.insert(Array(token.utf8)))
        if merged == vocabulary.count { vocabulary.append(token) }
        merges.append(Merge(left: left, right: right, merged: merged))
        let words = holders[best.index]
        holders[best.index] = []
        for word in words { merge(left, right, into: merged, in: Int(word)) }
        return true
    }

    /// Rewrites one word. A word that no longer holds the pair stays as it is.
    private mutating func merge(_ left: Int32, _ right: Int32, into merged: Int32, in word: Int) {
        let start = starts[word]
        let end = start + lengths[word]
        let frequency = frequencies[word]
        var read = start
        var write = start
        while read < end {
            guard read + 1 < end, symbols[read] == left, symbols[read + 1] == right else {
                symbols[write] = symbols[read]
                read += 1
                write += 1
                continue
            }
            if write > start {
                count(symbols[write - 1], left, in: word, by: -frequency)
                count(symbols[write - 1], merged, in: word, by: frequency)
            }
            if read + 2 < end {
                count(right, symbols[read + 2], in: word, by: -frequency)
                count(merged, symbols[read + 2], in: word, by: frequency)
            }
            symbols[write] = merged
            read += 2
            write += 1
        }
        lengths[word] = write - start
    }

    private mutating func count(_ left: Int32, _ right: Int32, in word: Int, by change: Int) {
        let key = pairKey(left, right)
        let index: Int
        if let known = pairs[key] {
            index = known
        } else {
            index = queue.append(left: left, right: right)
            pairs[key] = index
            holders.append([])
        }
        queue.change(index, by: change)
        if change > 0, holders[index].last != Int32(word) { holders[index].append(Int32(word)) }
    }
}

/// A heap of pairs of tokens with their counts, the most frequent first. Each pair knows its position in the heap, so its count can
/// change in place.
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
    /// For each pair its position in the heap; -1 for retired pairs, and for all before ``order()``.
    private var positions: [Int] = []
    private var isOrdered = false

    var first: Pair? { heap.first.map { pairs[$0] } }

    /// Adds a new pair with a count of zero, and returns its index.
    mutating func append(left: Int32, right: Int32) -> Int {
        let index = pairs.count
        pairs.append(Pair(index: index, left: left, right: right))
        positions.append(-1)
        if isOrdered {
            positions[index] = heap.count
            heap.append(index)
            rise(from: heap.count - 1)
        }
        return index
    }

    /// Orders the pairs added so far as a heap; later pairs are inserted in order.
    mutating func order() {
        heap = pairs.indices.sorted { pairs[$0].precedes(pairs[$1]) }
        for (position, index) in heap.enumerated() { positions[index] = position }
        isOrdered = true
    }

    /// Changes a pair's count. A retired pair stays retired.
    mutating func change(_ index: Int, by change: Int) {
        pairs[index].count += change
        guard positions[index] >= 0 else { return }
        if change > 0 { rise(from: positions[index]) } else { sink(from: positions[index]) }
    }

    /// Removes a pair permanently.
    mutating func retire(_ index: Int) {
        let position = positions[index]
        guard position >= 0, let last = heap.popLast() else { return }
        positions[index] = -1
        guard last != index else { return }
        heap[position] = last
        positions[last] = position
        rise(from: position)
        sink(from: positions[last])
    }

    private mutating func rise(from start: Int) {
        var position = start
        while position > 0 {
            let parent = (position - 1) / 2
            guard pairs[heap[position]].precedes(pairs[heap[parent]]) else { return }
            exchange(position, parent)
            position = parent
        }
    }

    private mutating func sink(from start: Int) {
        var position = start
        while true {
            var foremost = position
            for child in [2 * position + 1, 2 * position + 2]
            where child < heap.count && pairs[heap[child]].precedes(pairs[heap[foremost]]) {
                foremost = child
            }
            guard foremost != position else { return }
            exchange(position, foremost)
            position = foremost
        }
    }

    private mutating func exchange(_ first: Int, _ second: Int) {
        heap.swapAt(first, second)
        positions[heap[first]] = first
        positions[heap[second]] = second
    }
}
