/// The character classes of split patterns and added tokens, in a table for the first 65,536 characters.
///
/// Classes are those of Unicode 16 (digits: 17), the versions behind Hugging Face tokenizers, whatever version the Swift library
/// knows. Characters assigned later count as unassigned, so that the same file gives the same ids on every release.
struct CharacterClasses: Sendable {
    /// The four kinds of characters in the split patterns; every character is of one kind.
    enum Kind {
        static let other: UInt8 = 0
        /// `\p{L}`
        static let letter: UInt8 = 1
        /// `\p{N}`
        static let number: UInt8 = 2
        /// `\s`
        static let space: UInt8 = 3
        static let mask: UInt8 = 3
    }

    /// Set for characters of the general category Nd, Nl or No, which the Digits pre-tokenizer separates.
    static let digit: UInt8 = 4
    /// Set for carriage return and line feed.
    static let lineBreak: UInt8 = 8
    /// Set for `\w` (Unicode Technical Standard 18, annex C), which a single-word token must not touch.
    static let word: UInt8 = 16

    static let shared = CharacterClasses()

    private let table: [UInt8]

    private init() {
        table = (UInt32(0)...0xFFFF).map { value in Unicode.Scalar(value).map(Self.flags) ?? 0 }
    }

    /// The flags of the character that starts at `position`, and its length in bytes.
    ///
    /// - Precondition: `bytes` is valid UTF-8, and a character starts at `position`.
    @inline(__always)
    func at(_ position: Int, in bytes: Span<UInt8>) -> (flags: UInt8, length: Int) {
        let (value, length) = scalar(at: position, in: bytes)
        if value < 0x10000 { return (table[Int(value)], length) }
        return (Unicode.Scalar(value).map(Self.flags) ?? 0, length)
    }

    private static func flags(of scalar: Unicode.Scalar) -> UInt8 {
        let properties = scalar.properties
        guard let age = properties.age, age.major <= 17 else { return 0 }
        let isDigit = [.decimalNumber, .letterNumber, .otherNumber].contains(properties.generalCategory)
        var flags = isDigit ? digit : 0
        guard age.major <= 16 else { return flags }
        if scalar == "\r" || scalar == "\n" { flags |= lineBreak }
        if properties.isWhitespace { return flags | Kind.space }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            flags |= Kind.letter | word
        case .decimalNumber:
            flags |= Kind.number | word
        case .letterNumber, .otherNumber:
            flags |= Kind.number
        case .nonspacingMark, .spacingMark, .enclosingMark, .connectorPunctuation:
            flags |= word
        default:
            break
        }
        if properties.isAlphabetic || properties.isJoinControl { flags |= word }
        return flags
    }
}

/// The character that starts at `position` of valid UTF-8, and its length in bytes.
@inline(__always)
func scalar(at position: Int, in text: Span<UInt8>) -> (value: UInt32, length: Int) {
    let first = UInt32(text[position])
    if first < 0x80 { return (first, 1) }
    let second = UInt32(text[position + 1] & 0x3F)
    if first < 0xE0 { return ((first & 0x1F) << 6 | second, 2) }
    let third = UInt32(text[position + 2] & 0x3F)
    if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, 3) }
    return ((first & 0x07) << 18 | second << 12 | third << 6 | UInt32(text[position + 3] & 0x3F), 4)
}
