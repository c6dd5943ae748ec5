/// Byte-pair encoding of words, from bytes up (Sennrich et al. 2016; at byte level, Radford et al. 2019).
struct BytePairModel: Sendable {
    let merges: MergeTable
    /// The token of each byte. Bytes that UTF-8 never uses may lack one, and are never looked up.
    let byteSymbols: [Int32]
    /// Where a word that is itself a token becomes that token whatever the merges would make of it, all such words.
    let wholeWords: WholeWords?

    struct WholeWords: Sendable {
        let table: ByteStringTable
        /// The token of each string of the table.
        let tokens: [Int32]
    }

    /// What encoding takes from one word to the next; each thread has its own.
    struct Scratch: Sendable {
        fileprivate var merger = PairMerger()
        fileprivate var cache = WordCache()
    }

    /// Appends the tokens of the word `bytes[range]`, which is not empty and valid UTF-8.
    @inline(__always)
    func appendTokens(
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
        if let wholeWords, let number = wholeWords.table.number(of: bytes, in: range) {
            tokens.append(wholeWords.tokens[number])
        } else {
            scratch.merger.merge(bytes, in: range, byteSymbols: byteSymbols, merges: merges)
            tokens.append(contentsOf: scratch.merger.symbols)
        }
    }
}
