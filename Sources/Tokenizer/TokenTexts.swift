extension Tokenizer {
    /// The text of each token, arranged so that they join to what ``decode(_:)`` makes of all: a character whose bytes are
    /// spread over several tokens is shown with the last of them, and those before it show what they hold besides, often
    /// nothing.
    ///
    /// What is part of a character is told by bytes. A U+FFFD in the text is a character like any other; one also stands, as
    /// in ``decode(_:)``, for bytes of a character that are not all there, as where a document was cut within it.
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

/// The length of the character that starts at `position` of any bytes, or of those that one U+FFFD stands for: the longest
/// start of a character there, or one byte (Unicode 16, section 3.9, table 3-7 and "U+FFFD Substitution of Maximal Subparts").
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
