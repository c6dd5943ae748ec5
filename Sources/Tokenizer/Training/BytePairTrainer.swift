/// Trains a byte-level byte-pair tokenizer on text, cut into words as GPT-2 does.
///
/// The vocabulary is the special tokens, the 256 byte symbols, and one token per merge: each step merges the pair of neighbouring
/// tokens that is most frequent within words (Sennrich et al. 2016). Of equally frequent pairs, the one with the lower ids comes
/// first, left before right, so that the same text gives the same tokenizer.
public struct BytePairTrainer: Sendable {
    /// The size of the vocabulary; it is smaller if the text has too few pairs.
    public var vocabularyCount: Int
    /// The tokens with the first ids, in this order. The first is the BOS and EOS token in the tokenizer's files; none is added
    /// before a sequence.
    public var specialTokens: [String]
    /// Pairs that occur less often are not merged.
    public var minimumFrequency: Int

    public init(
        vocabularyCount: Int, specialTokens: [String] = ["<|endoftext|>"], minimumFrequency: Int = 2
    ) {
        self.vocabularyCount = vocabularyCount
        self.specialTokens = specialTokens
        self.minimumFrequency = minimumFrequency
    }

    /// Trains on texts, each of which is read once. Special tokens spelled out in them are skipped.
    ///
    /// - Throws: ``TokenizerError/vocabularyTooSmall(requested:minimum:)`` or
    ///   ``TokenizerError/ambiguousSpecialToken(_:)``.
    /// - Complexity: Memory linear in the distinct words of the texts; each merge takes time for the words that hold its pair.
    public func train(on texts: some Sequence<String>) throws(TokenizerError) -> Tokenizer {
        let base = try baseVocabulary()
        let words = wordCounts(of: texts)
        var learner = MergeLearner(words: words, byteSymbols: base.byteSymbols, vocabulary: base.tokens)
        while learner.vocabulary.count < vocabularyCount, learner.mergeMostFrequentPair(atLeast: minimumFrequency) {}
        let added = specialTokens.enumerated().map { AddedToken(identifier: Int32($0), content: $1) }
        return Tokenizer(
            TokenizerDescription(
                vocabulary: learner.vocabulary.indices.map { learner.vocabulary[$0] }, merges: learner.merges,
                addedTokens: added, bosToken: added.isEmpty ? nil : 0, eosToken: added.isEmpty ? nil : 0))
    }

    private func baseVocabulary() throws(TokenizerError) -> (tokens: [String], byteSymbols: [Int32]) {
        var tokens = specialTokens
        var byteSymbols = [Int32](repeating: 0, count: 256)
        for byte in ByteLevelAlphabet.bytesInOrderOfScalars {
            byteSymbols[Int(byte)] = Int32(tokens.count)
            tokens.append(ByteLevelAlphabet.text(of: [byte]))
        }
        var seen: Set<[UInt8]> = []
        for token in tokens where token.isEmpty || !seen.insert(Array(token.utf8)).inserted {
            throw .ambiguousSpecialToken(token)
        }
        guard vocabularyCount >= tokens.count else {
            throw .vocabularyTooSmall(requested: vocabularyCount, minimum: tokens.count)
        }
        return (tokens, byteSymbols)
    }

    private func wordCounts(of texts: some Sequence<String>) -> WordCounts {
        let special = AddedTokenMatcher(
            specialTokens.map { AddedToken(identifier: 0, content: $0) }, contents: specialTokens.map { Array($0.utf8) }
        )
        var counts = WordCounts()
        var words = PreTokenizer.Words()
        for text in texts {
            let bytes = text.utf8Span.span
            var cursor = AddedTokenMatcher.Cursor()
            while let segment = special.next(&cursor, in: bytes) {
                guard segment.identifier == nil else { continue }
                let part = bytes.extracting(segment.range)
                PreTokenizer.gpt2.start(&words, on: part)
                while PreTokenizer.gpt2.next(&words, of: part) {
                    var start = words.start
                    for end in words.ends {
                        counts.add(part, in: start..<end)
                        start = end
                    }
                }
            }
        }
        return counts
    }
}

/// Counts how often each word occurs.
struct WordCounts {
    private(set) var words = ByteStringTable()
    private(set) var counts: [Int] = []

    mutating func add(_ bytes: Span<UInt8>, in range: Range<Int>) {
        let word = words.insert(bytes, in: range)
        if word == counts.count { counts.append(0) }
        counts[word] += 1
    }
}
