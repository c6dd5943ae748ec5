/// Byte-pair encoding of words, from bytes or characters up (Sennrich et al. 2016; at byte level, Radford et al. 2019).
struct BytePairModel: Sendable {
    let merges: MergeTable
    let symbols: Symbols
    /// Where a word that is itself a token becomes that token whatever the merges would make of it, all such words.
    let wholeWords: WholeWords?
    /// Where words can be long: where they can be cut.
    let borders: MergeBorders?

    /// What the letters of a word start out as.
    enum Symbols: Sendable {
        /// The token of each byte; negative where the vocabulary lacks it, and the byte is left out.
        case bytes([Int32])
        case characters(CharacterSymbols)
    }

    struct WholeWords: Sendable {
        let table: ByteStringTable
        /// The token of each string of the table.
        let tokens: [Int32]
        /// In bytes.
        let longest: Int
    }

    /// What encoding takes from one word to the next; each thread has its own.
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
        guard let borders else { return appendPiece(of: bytes, in: range, scratch: &scratch, to: &tokens) }
        if let token = wholeWord(bytes, in: range) { return tokens.append(token) }
        var start = range.lowerBound
        while start < range.upperBound {
            let end = borders.endOfPiece(of: bytes, in: start..<range.upperBound)
            appendPiece(of: bytes, in: start..<end, scratch: &scratch, to: &tokens)
            start = end
        }
    }

    @inline(__always)
    private func appendPiece(
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
        // A piece of a longer word is no word, though it may be written like one.
        if borders == nil, let token = wholeWord(bytes, in: range) { return tokens.append(token) }
        guard range.count <= scratch.longWord.chunkLength else {
            return scratch.longWord.appendTokens(of: bytes, in: range, by: self, to: &tokens)
        }
        scratch.merger.start { symbols.append(bytes, in: range, to: &$0) }
        scratch.merger.merge(by: merges)
        tokens.append(contentsOf: scratch.merger.symbols)
    }

    /// How many of these bytes have part in a token.
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
    /// Appends what the letters of `bytes[range]`, valid UTF-8, start out as, until there are `limit` symbols or a few more.
    ///
    /// - Returns: Where the first letter starts that is left, or the range's end.
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
