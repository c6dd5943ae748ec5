/// The bytes that each id stands for, by id.
///
/// An added token stands for its text; one that words are made of too, as when a byte's symbol was added again, for its
/// bytes.
struct DecodedTokens: Sendable {
    private var buffer: [UInt8] = []
    private var ends: [Int] = []

    init(_ description: TokenizerDescription) {
        var added: [Int32: String] = [:]
        for token in description.addedTokens { added[token.identifier] = token.content }
        let merged = Set(description.merges.map(\.merged))
        ends.reserveCapacity(description.identifierCount)
        for identifier in 0..<description.identifierCount {
            let token = identifier < description.vocabulary.count ? description.vocabulary[identifier] : nil
            let bytes = token.flatMap(ByteLevelAlphabet.bytes)
            let isPartOfWords = bytes?.count == 1 || merged.contains(Int32(identifier))
            if let content = added[Int32(identifier)], !isPartOfWords {
                buffer += content.utf8
            } else if let token {
                // A token that is not written in the byte-level alphabet stands for itself.
                buffer += bytes ?? Array(token.utf8)
            }
            ends.append(buffer.count)
        }
    }

    /// Empty for what is no token's id.
    func bytes(of token: Int32) -> ArraySlice<UInt8> { buffer[range(of: token)] }

    func length(of token: Int32) -> Int { range(of: token).count }

    private func range(of token: Int32) -> Range<Int> {
        guard token >= 0, token < ends.count else { return 0..<0 }
        let index = Int(token)
        return (index == 0 ? 0 : ends[index - 1])..<ends[index]
    }
}

extension BytePairModel {
    init(_ description: TokenizerDescription) {
        merges = MergeTable(description.merges)
        var byteSymbols = [Int32](repeating: 0, count: 256)
        var table = ByteStringTable(minimumCapacity: description.ignoresMerges ? description.vocabulary.count : 0)
        var tokens: [Int32] = []
        for (identifier, token) in description.vocabulary.enumerated() {
            guard let token, let bytes = ByteLevelAlphabet.bytes(of: token) else { continue }
            if bytes.count == 1 { byteSymbols[Int(bytes[0])] = Int32(identifier) }
            if description.ignoresMerges, table.insert(bytes) == tokens.count { tokens.append(Int32(identifier)) }
        }
        self.byteSymbols = byteSymbols
        wholeWords = description.ignoresMerges ? WholeWords(table: table, tokens: tokens) : nil
    }
}
