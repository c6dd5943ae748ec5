/// Merges a long word in chunks, and gives the tokens that merging all of it at once gives.
///
/// A word is merged by taking, again and again, the pair of the lowest rank, the leftmost of several. Let a word be cut in
/// two, each part merged by itself, and the last token of the first part and the first token of the second, merged together
/// from their symbols, come out as these two again. Then no merge crosses the cut in the whole word either: until the first
/// one that did, what is merged within the two tokens is what is merged when they stand alone, in the same order, and there
/// none crosses. So each part's tokens are those of the whole word; it matters neither how the merges are ranked nor what
/// the tokens are.
///
/// Conversely, a border between two tokens of the whole word is such a cut. So a chunk is cut at one of its own borders some
/// way before its end, where what follows hardly ever moves it, and the cut is checked as above. Where the check fails the
/// whole word is merged at once.
///
/// - Complexity: Time in proportion to the word, memory for a chunk (100 bytes per symbol), besides the tokens. Where a check
///   fails, memory for the word.
struct LongWordMerger: Sendable {
    /// In symbols. Words of as many bytes at most are not long.
    let chunkLength: Int
    /// How many symbols of a chunk follow its cut.
    private let overlap: Int
    private var merger = PairMerger()
    private var seam = PairMerger()
    /// Words so far of which a cut did not hold.
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
        // Of its own, so that the memory is given back.
        var whole = PairMerger()
        whole.start { model.symbols.append(bytes, in: range, to: &$0) }
        whole.merge(by: model.merges)
        tokens.append(contentsOf: whole.symbols)
    }

    /// - Returns: Whether all cuts held; otherwise what was appended is not the word's tokens.
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

    /// A token beside a cut, and the symbols that it started out as.
    private struct Border {
        let token: Int32
        let symbols: [Int32]
    }

    /// Whether two tokens side by side stay these two.
    private mutating func holds(_ first: Border, _ second: Border, _ merges: MergeTable) -> Bool {
        seam.start { $0 = first.symbols + second.symbols }
        seam.merge(by: merges)
        return seam.symbols == [first.token, second.token]
    }

    /// The token at whose end a chunk of so many symbols is cut; nil where it is one token alone.
    private func lastTokenBeforeCut(_ count: Int) -> Int? {
        let last = merger.ends.firstIndex { $0 >= count - overlap } ?? 0
        if merger.ends[last] < count { return last }
        return last > 0 ? last - 1 : nil
    }
}
