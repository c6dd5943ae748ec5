/// The visible space of SentencePiece: a character, mostly `▁` (U+2581), that stands for a space and may be put before text.
struct Metaspace: Sendable, Equatable {
    /// Where the character is put before a stretch of text that does not start with it.
    enum Prefix: String, Sendable {
        case never
        /// Only before what starts the whole text.
        case first
        /// Before each stretch between added tokens.
        case always
    }

    var replacement: Unicode.Scalar
    var prefix: Prefix
    /// Whether each such character starts a word.
    var startsWords: Bool

    /// The text with its spaces written so.
    ///
    /// - Parameter isFirst: Whether `text` is the start of the whole text.
    func applied(to text: Span<UInt8>, isFirst: Bool) -> [UInt8] {
        let mark = Array(String(replacement).utf8)
        var result: [UInt8] = []
        result.reserveCapacity(text.count + text.count / 2 + mark.count)
        let isPrefixed = prefix == .always || prefix == .first && isFirst
        if isPrefixed, let first = text.isEmpty ? nil : text[0], first != UInt8(ascii: " "),
            firstPlace(of: mark, in: text.extracting(first: mark.count), from: 0) == nil
        {
            result += mark
        }
        for index in text.indices {
            if text[index] == UInt8(ascii: " ") { result += mark } else { result.append(text[index]) }
        }
        return result
    }
}
