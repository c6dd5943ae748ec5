/// Byte-pair encoding of words, from bytes or characters (Sennrich et al. 2016; at byte level, Radford et al. 2019).
struct BytePairModel: Sendable {
    let merges: MergeTable
    let symbols: Symbols
    /// The words that become one token even if the merges give other tokens; nil if there are none.
    let wholeWords: WholeWords?
    /// The positions at which long words can be cut; nil where words are short.
    let borders: MergeBorders?

    /// The initial symbols of a word.
    enum Symbols: Sendable {
        /// The token of each byte; negative if the vocabulary lacks it, in which case the byte is dropped.
        case bytes([Int32])
        case characters(CharacterSymbols)
    }

    struct WholeWords: Sendable {
        let table: ByteStringTable
        /// The token of each string of the table.
        let tokens: [Int32]
        /// The length of the longest string, in bytes.
        let longest: Int
    }

    /// Scratch memory that is kept from word to word; each thread has its own.
    struct Scratch: Sendable {
        fileprivate var merger = PairMerger()
        fileprivate var cache = WordCache()
        fileprivate var longWord = LongWordMerger()
    }

    /// Appends the tokens of the word `bytes[range]`, which is not empty and valid UTF-8.
    @inline(__always)
    func appendTokens(
        of bytes: Span<UInt8>, in range: Range<Int>, scratch: inout Scratch, to tokens: inout [Int32]
    ) {
        guard let borders else { return appendChunk(of: bytes, in: range, scratch: &scratch, to: &tokens) }
        if let token = wholeWord(bytes, in: range) { return tokens.append(token) }
        var start = range.lowerBound
        while start < range.upperBound {
            let end = borders.endOfChunk(of: bytes, in: start..<range.upperBound)
            appendChunk(of: bytes, in: start..<end, scratch: &scratch, to: &tokens)
            start = end
        }
    }

    @inline(__always)
    private func appendChunk(
        of bytes: Span<UInt8>, in range: Range<Int>, scratch: inout Scratch, to tokens: inout [Int32]
    ) {
        guard range.count <= WordCache.longestWord else {
            return appendNewTokens(of: bytes, in: range, scratch: &scratch, to: &tokens)
        }
        let hash = byteStringHash(of: bytes, in: range)
        if scratch.cache.appendTokens(of: bytes, in: range, hash: hash, to: &tokens) { return }
        let start = tokens.count
        appendNewTokens(of: bytes, in: range, scratch: &scratch, to: &tokens)
        scratch.cache.insert(bytes, in: range, hash: hash, tokens: tokens[start...])
    }

    @inline(never)
    private func appendNewTokens(
        of bytes: Span<UInt8>, in range: Range<Int>, scratch: inout Scratch, to tokens: inout [Int32]
    ) {
        // A chunk of a longer word is not a word, even if it is written like one.
        if borders == nil, let token = wholeWord(bytes, in: range) { return tokens.append(token) }
        guard range.count <= scratch.longWord.chunkLength else {
            return scratch.longWord.appendTokens(of: bytes, in: range, by: self, to: &tokens)
        }
        scratch.merger.start { symbols.append(bytes, in: range, to: &$0) }
        scratch.merger.merge(by: merges)
        tokens.append(contentsOf: scratch.merger.symbols)
    }

    /// The number of these bytes that are part of a token.
    func encodedCount(of bytes: Span<UInt8>) -> Int {
        guard case .bytes(let tokens) = symbols else { return bytes.count }
        return bytes.indices.count { tokens[Int(bytes[$0])] >= 0 }
    }

    private func wholeWord(_ bytes: Span<UInt8>, in range: Range<Int>) -> Int32? {
        guard let wholeWords, range.count <= wholeWords.longest else { return nil }
        return wholeWords.table.number(of: bytes, in: range).map { wholeWords.tokens[$0] }
    }
}

extension BytePairModel.Symbols {
    /// Appends the initial symbols of `bytes[range]`, valid UTF-8, until there are `limit` symbols or a few more.
    ///
    /// - Returns: The index after the last character read.
    @discardableResult
    func append(_ bytes: Span<UInt8>, in range: Range<Int>, to symbols: inout [Int32], limit: Int = .max) -> Int {
        switch self {
        case .bytes(let tokens):
            var position = range.lowerBound
            while position < range.upperBound, symbols.count < limit {
                let token = tokens[Int(bytes[position])]
                if token >= 0 { symbols.append(token) }
                position += 1
            }
            return position
        case .characters(let characters):
            return characters.append(bytes, in: range, to: &symbols, limit: limit)
        }
    }
}

extension BytePairModel {
    init(_ description: TokenizerDescription) {
        merges = MergeTable(description.merges, ranks: description.sharedRanks)
        switch description.spelling {
        case .byteLevel:
            var tokens = [Int32](repeating: -1, count: 256)
            for (identifier, token) in description.vocabulary.enumerated() {
                guard let bytes = token.flatMap(ByteLevelAlphabet.bytes), bytes.count == 1 else { continue }
                tokens[Int(bytes[0])] = Int32(identifier)
            }
            symbols = .bytes(tokens)
            borders = nil
        case .characters:
            symbols = .characters(CharacterSymbols(vocabulary: description.vocabulary))
            let made = Set(description.merges.map(\.merged))
            borders = MergeBorders(tokens: made.compactMap { description.vocabulary[Int($0)] })
        }
        wholeWords = description.ignoresMerges ? WholeWords(description) : nil
    }
}

extension BytePairModel.WholeWords {
    fileprivate init(_ description: TokenizerDescription) {
        var table = ByteStringTable(minimumCapacity: description.vocabulary.count)
        var tokens: [Int32] = []
        var longest = 0
        for (identifier, token) in description.vocabulary.enumerated() {
            guard let token, let bytes = description.spelling.bytesInText(of: token) else { continue }
            if table.insert(bytes) == tokens.count { tokens.append(Int32(identifier)) }
            longest = max(longest, bytes.count)
        }
        self.init(table: table, tokens: tokens, longest: longest)
    }
}

/// The tokens of earlier words, within a bound on memory.
struct WordCache: Sendable {
    private struct Slot {
        var hash: UInt64 = 0
        var wordStart: Int32 = 0
        var tokenStart: Int32 = 0
        /// Zero where the slot is free.
        var wordLength: UInt16 = 0
        var tokenCount: UInt16 = 0
    }

    /// Longer words are rare and are not cached.
    static let longestWord = 128

    private static let slotCount = 1 << 16
    /// The most slots that are tried for a word, starting with the one that its hash gives.
    private static let probes = 8
    /// When the cached words have this many bytes, all are dropped.
    private static let capacity = 1 << 20

    private var slots: [Slot] = []
    private var words: [UInt8] = []
    private var tokens: [Int32] = []

    /// Appends the tokens of the word `bytes[range]` if they are cached.
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

    /// Caches a new word that is no longer than ``longestWord``.
    mutating func insert(_ bytes: Span<UInt8>, in range: Range<Int>, hash: UInt64, tokens added: ArraySlice<Int32>) {
        if slots.isEmpty || words.count + range.count > Self.capacity {
            slots = [Slot](repeating: Slot(), count: Self.slotCount)
            words.removeAll(keepingCapacity: true)
            tokens.removeAll(keepingCapacity: true)
        }
        // If all its slots are taken, the word replaces the one in the first.
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
