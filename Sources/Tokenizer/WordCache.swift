/// The tokens of words met before, within a bound of memory.
struct WordCache: Sendable {
    private struct Slot {
        var hash: UInt64 = 0
        var wordStart: Int32 = 0
        var tokenStart: Int32 = 0
        /// Zero where the slot is free.
        var wordLength: UInt16 = 0
        var tokenCount: UInt16 = 0
    }

    /// Longer words are rare and not kept.
    static let longestWord = 128

    private static let slotCount = 1 << 16
    /// A word lies at most this far behind the slot its hash gives.
    private static let probes = 8
    /// When the words kept have this many bytes, all are dropped.
    private static let capacity = 1 << 20

    private var slots: [Slot] = []
    private var words: [UInt8] = []
    private var tokens: [Int32] = []

    /// Appends the tokens of the word `bytes[range]` where it is known.
    @inline(__always)
    func appendTokens(
        of bytes: Span<UInt8>, in range: Range<Int>, hash: UInt64, to result: inout [Int32]
    ) -> Bool {
        guard !slots.isEmpty else { return false }
        for probe in 0..<Self.probes {
            let slot = slots[index(hash, probe)]
            guard slot.wordLength > 0 else { return false }
            if slot.hash == hash, isEqual(slot, to: bytes, in: range) {
                let start = Int(slot.tokenStart)
                for index in start..<start + Int(slot.tokenCount) { result.append(tokens[index]) }
                return true
            }
        }
        return false
    }

    /// Keeps a word that is not known yet and no longer than ``longestWord``.
    mutating func insert(_ bytes: Span<UInt8>, in range: Range<Int>, hash: UInt64, tokens added: ArraySlice<Int32>) {
        if slots.isEmpty || words.count + range.count > Self.capacity {
            slots = [Slot](repeating: Slot(), count: Self.slotCount)
            words.removeAll(keepingCapacity: true)
            tokens.removeAll(keepingCapacity: true)
        }
        // Where all its places are taken, the word replaces the one in the first.
        let free = (0..<Self.probes).first { slots[index(hash, $0)].wordLength == 0 } ?? 0
        slots[index(hash, free)] = Slot(
            hash: hash, wordStart: Int32(words.count), tokenStart: Int32(tokens.count),
            wordLength: UInt16(range.count), tokenCount: UInt16(added.count))
        for index in range { words.append(bytes[index]) }
        tokens.append(contentsOf: added)
    }

    @inline(__always)
    private func index(_ hash: UInt64, _ probe: Int) -> Int {
        (Int(truncatingIfNeeded: hash) &+ probe) & (Self.slotCount - 1)
    }

    @inline(__always)
    private func isEqual(_ slot: Slot, to bytes: Span<UInt8>, in range: Range<Int>) -> Bool {
        guard Int(slot.wordLength) == range.count else { return false }
        let start = Int(slot.wordStart)
        for offset in 0..<range.count where words[start + offset] != bytes[range.lowerBound + offset] { return false }
        return true
    }
}
