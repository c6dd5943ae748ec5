/// The bytes that each id stands for, by id.
///
/// An added token stands for its text; one that words are made of too, as when a byte's symbol was added again, for its
/// bytes. Where a character stands for spaces in tokens, as in SentencePiece's, it is a space here.
struct DecodedTokens: Sendable {
    private var buffer: [UInt8] = []
    private var ends: [Int] = []
    /// How many bytes of the text that the model is given each id takes.
    private var lengthsInText: [Int32] = []

    init(_ description: TokenizerDescription) {
        var added: [Int32: String] = [:]
        for token in description.addedTokens { added[token.identifier] = token.content }
        let merged = Set(description.merges.map(\.merged))
        ends.reserveCapacity(description.identifierCount)
        for identifier in 0..<description.identifierCount {
            let token = identifier < description.vocabulary.count ? description.vocabulary[identifier] : nil
            let bytes = token.map(description.spelling.decodedBytes)
            let isPartOfWords = bytes?.count == 1 || merged.contains(Int32(identifier))
            if let content = added[Int32(identifier)], !isPartOfWords {
                buffer += content.utf8
            } else if let bytes {
                buffer += bytes
            }
            lengthsInText.append(Int32(token.map(description.spelling.lengthInText) ?? 0))
            ends.append(buffer.count)
        }
    }

    /// Empty for what is no token's id.
    func bytes(of token: Int32) -> ArraySlice<UInt8> { buffer[range(of: token)] }

    /// The bytes of normalized text that one of the model's tokens takes.
    func lengthInText(of token: Int32) -> Int {
        token >= 0 && token < lengthsInText.count ? Int(lengthsInText[Int(token)]) : 0
    }

    private func range(of token: Int32) -> Range<Int> {
        guard token >= 0, token < ends.count else { return 0..<0 }
        let index = Int(token)
        return (index == 0 ? 0 : ends[index - 1])..<ends[index]
    }
}
