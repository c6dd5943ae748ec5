/// The bytes of each token, by id.
///
/// An added token stands for its text. One that also occurs in words, such as a byte's symbol that was added again, stands for its
/// bytes. If the vocabulary writes spaces as another character, as SentencePiece does, that character is decoded as a space here.
struct DecodedTokens: Sendable {
    private var buffer: [UInt8] = []
    private var ends: [Int] = []
    /// The number of bytes of normalized text that each token covers.
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

    /// Empty for an id without a token.
    func bytes(of token: Int32) -> ArraySlice<UInt8> { buffer[range(of: token)] }

    /// The number of bytes of normalized text that a token of the model covers.
    func lengthInText(of token: Int32) -> Int {
        token >= 0 && token < lengthsInText.count ? Int(lengthsInText[Int(token)]) : 0
    }

    private func range(of token: Int32) -> Range<Int> {
        guard token >= 0, token < ends.count else { return 0..<0 }
        let index = Int(token)
        return (index == 0 ? 0 : ends[index - 1])..<ends[index]
    }
}

extension Tokenizer {
    /// The text of tokens, including special ones. Bytes that are not valid UTF-8, such as the first half of a character whose other
    /// token is missing, become U+FFFD; ids without a token are skipped. A space that the tokenizer puts before a text belongs to its
    /// first token, and stays.
    public func decode(_ tokens: some Sequence<Int32>) -> String {
        String(decoding: decodeBytes(tokens), as: UTF8.self)
    }

    /// The bytes that tokens stand for.
    public func decodeBytes(_ tokens: some Sequence<Int32>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * tokens.underestimatedCount)
        for token in tokens { bytes += decoded.bytes(of: token) }
        return bytes
    }

    /// One token's text for display; incomplete characters show as U+FFFD.
    public func tokenText(_ token: Int32) -> String { decode(CollectionOfOne(token)) }

    /// The texts of tokens, which join to the result of ``decode(_:)``. A character whose bytes are spread over several tokens
    /// belongs to the last of them; the texts of the others are often empty.
    ///
    /// Bytes decide what belongs to a character. A U+FFFD in the text is a character like any other; as in ``decode(_:)``, it also
    /// stands for an incomplete character, such as one that is cut off at a document's end.
    ///
    /// - Complexity: Linear in the bytes.
    public func tokenTexts(_ tokens: [Int32]) -> [String] {
        var bytes: [UInt8] = []
        var ends: [Int] = []
        ends.reserveCapacity(tokens.count)
        for token in tokens {
            bytes += decodeBytes(CollectionOfOne(token))
            ends.append(bytes.count)
        }
        var start = 0
        var shown = 0
        return ends.enumerated().map { index, end in
            while shown < end {
                let next = shown + lengthOfCharacter(at: shown, in: bytes.span)
                guard next <= end || index == ends.count - 1 else { break }
                shown = next
            }
            defer { start = shown }
            return String(decoding: bytes[start..<shown], as: UTF8.self)
        }
    }
}

/// The length of the character that starts at `position` of any bytes, or of the incomplete one that becomes a U+FFFD: the longest
/// start of a character, or one byte (Unicode 16, section 3.9, table 3-7 and "U+FFFD Substitution of Maximal Subparts").
func lengthOfCharacter(at position: Int, in bytes: Span<UInt8>) -> Int {
    var second: ClosedRange<UInt8> = 0x80...0xBF
    let length: Int
    switch bytes[position] {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    case 0xF1...0xF3: length = 4
    default: return 1
    }
    let limit = min(position + length, bytes.count)
    guard position + 1 < limit, second.contains(bytes[position + 1]) else { return 1 }
    var end = position + 2
    while end < limit, bytes[end] & 0xC0 == 0x80 { end += 1 }
    return end - position
}
