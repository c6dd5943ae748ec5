/// Merges a long word in chunks. The tokens are the same as those of merging the whole word at once.
///
/// Merging always takes the pair of the lowest rank, and the leftmost of equal pairs. Cut a word in two and merge each part alone.
/// Then take the last token of the first part and the first token of the second, and merge the symbols of both together. If the
/// result is these two tokens again, no merge crosses the cut in the whole word either. Suppose that one did: up to the first such
/// merge, the merges within the two tokens would be the same, in the same order, as when the two are merged by themselves, where no
/// merge crosses. So the tokens of the parts are those of the whole word, whatever the ranks and the tokens are.
///
/// Conversely, every border between two tokens of the whole word is such a cut. A chunk is therefore cut at one of its own token borders
/// some way before its end, which later symbols hardly ever move, and the cut is checked as above. If the check fails, the whole word
/// is merged at once.
///
/// - Complexity: Time linear in the word, and memory for a chunk (100 bytes per symbol), besides the tokens. If a check fails, memory
///   for the word.
struct LongWordMerger: Sendable {
    /// The length of a chunk in symbols. Words of at most this many bytes are merged whole.
    let chunkLength: Int
    /// The number of a chunk's symbols that follow its cut.
    private let overlap: Int
    private var merger = PairMerger()
    private var seam = PairMerger()
    /// The number of words for which a check failed.
    private(set) var failures = 0

    init(chunkLength: Int = 1 << 15, overlap: Int = 1 << 12) {
        self.chunkLength = chunkLength
        self.overlap = overlap
    }

    /// Appends the tokens of the word `bytes[range]`, valid UTF-8.
    mutating func appendTokens(
        of bytes: Span<UInt8>, in range: Range<Int>, by model: BytePairModel, to tokens: inout [Int32]
    ) {
        let first = tokens.count
        guard !appendChunks(of: bytes, in: range, by: model, to: &tokens) else { return }
        failures += 1
        tokens.removeLast(tokens.count - first)
        // A separate merger, so that its memory is freed.
        var whole = PairMerger()
        whole.start { model.symbols.append(bytes, in: range, to: &$0) }
        whole.merge(by: model.merges)
        tokens.append(contentsOf: whole.symbols)
    }

    /// - Returns: Whether all checks succeeded; otherwise the appended tokens are not those of the word.
    private mutating func appendChunks(
        of bytes: Span<UInt8>, in range: Range<Int>, by model: BytePairModel, to tokens: inout [Int32]
    ) -> Bool {
        var unread = range
        var chunk: [Int32] = []
        var before: Border?
        while true {
            let position = model.symbols.append(bytes, in: unread, to: &chunk, limit: chunkLength)
            unread = position..<range.upperBound
            merger.start { $0.append(contentsOf: chunk) }
            merger.merge(by: model.merges, longWord: 0)
            guard let firstEnd = merger.ends.first else { return true }
            let second = Border(token: merger.symbols[0], symbols: Array(chunk[..<firstEnd]))
            guard before.map({ holds($0, second, model.merges) }) ?? true else { return false }
            guard !unread.isEmpty else {
                tokens.append(contentsOf: merger.symbols)
                return true
            }
            guard let last = lastTokenBeforeCut(chunk.count) else { return false }
            tokens.append(contentsOf: merger.symbols[...last])
            let start = last == 0 ? 0 : merger.ends[last - 1]
            before = Border(token: merger.symbols[last], symbols: Array(chunk[start..<merger.ends[last]]))
            chunk.removeFirst(merger.ends[last])
        }
    }

    /// A token beside a cut, and its initial symbols.
    private struct Border {
        let token: Int32
        let symbols: [Int32]
    }

    /// Whether the symbols of two neighbouring tokens merge into the same two tokens.
    private mutating func holds(_ first: Border, _ second: Border, _ merges: MergeTable) -> Bool {
        seam.start { $0 = first.symbols + second.symbols }
        seam.merge(by: merges)
        return seam.symbols == [first.token, second.token]
    }

    /// The token at whose end a chunk of this many symbols is cut; nil if the chunk is a single token.
    private func lastTokenBeforeCut(_ count: Int) -> Int? {
        let last = merger.ends.firstIndex { $0 >= count - overlap } ?? 0
        if merger.ends[last] < count { return last }
        return last > 0 ? last - 1 : nil
    }
}

/// The positions at which no merge can cross: between two characters that are neighbours in no token.
///
/// A merge across such a position would make a token that holds both characters. Most SentencePiece tokenizers treat a whole text as
/// one word; cut at these positions, it falls into short chunks that recur.
struct MergeBorders: Sendable {
    /// A bit for each hash of a pair of characters. It is set if a token holds the pair, and for a few other pairs.
    private let bits: [UInt64]
    private let shift: UInt64

    /// - Parameter tokens: The tokens that merges make.
    init(tokens: some Collection<String>) {
        var pairs: Set<UInt64> = []
        for token in tokens {
            var previous: UInt32?
            for scalar in token.unicodeScalars {
                if let previous { pairs.insert(pairKey(previous, scalar.value)) }
                previous = scalar.value
            }
        }
        // With 16 bits per pair, at most one pair in sixteen is taken for another.
        var exponent: UInt64 = 10
        while 1 << exponent < 16 * pairs.count { exponent += 1 }
        shift = 64 - exponent
        var bits = [UInt64](repeating: 0, count: 1 << Int(exponent - 6))
        for pair in pairs {
            let bit = fibonacciHash(of: pair, shift: 64 - exponent)
            bits[bit >> 6] |= 1 << UInt64(bit & 63)
        }
        self.bits = bits
    }

    /// The end of the first chunk of `bytes[range]`, which is valid UTF-8 and not empty.
    @inline(__always)
    func endOfChunk(of bytes: Span<UInt8>, in range: Range<Int>) -> Int {
        var (previous, length) = scalar(at: range.lowerBound, in: bytes)
        var position = range.lowerBound + length
        while position < range.upperBound {
            let (value, length) = scalar(at: position, in: bytes)
            let bit = fibonacciHash(of: pairKey(previous, value), shift: shift)
            if bits[bit >> 6] & 1 << UInt64(bit & 63) == 0 { return position }
            previous = value
            position += length
        }
        return position
    }
}
