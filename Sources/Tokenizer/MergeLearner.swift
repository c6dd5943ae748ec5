/// The state of byte-pair training: the words as they are merged so far, and how often each pair of neighbours occurs.
///
/// A merge visits only the words that hold its pair, and changes only the counts of the pairs beside it.
struct MergeLearner {
    /// The tokens by id, in the byte-level alphabet.
    private(set) var vocabulary: [String]
    private(set) var merges: [Merge] = []

    /// The symbols of all words; each word keeps the start it had and has ever fewer symbols.
    private var symbols: [Int32] = []
    private var starts: [Int] = []
    private var lengths: [Int] = []
    private let frequencies: [Int]

    private var identifiers: ByteStringTable
    private var pairs: [UInt64: Int] = [:]
    private var queue = PairQueue()
    /// For each pair, words that hold it, or held it once.
    private var holders: [[Int32]] = []

    /// - Parameters:
    ///   - byteSymbols: The id of each byte.
    ///   - vocabulary: The tokens there are before the first merge.
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

    /// Merges the most frequent pair there is, if it occurs often enough.
    ///
    /// The vocabulary grows by the new token, unless another pair has made it already.
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

    /// Rewrites one word. A word that no longer holds the pair is left as it is.
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
        let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
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
