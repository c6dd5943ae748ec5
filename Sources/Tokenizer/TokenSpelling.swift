/// How the tokens of a vocabulary are written.
enum TokenSpelling: Sendable, Equatable {
    /// Byte by byte in ``ByteLevelAlphabet``.
    case byteLevel
    /// As they are, but for spaces, and for the bytes of characters that the vocabulary lacks (`<0x0A>`).
    ///
    /// - space: The character that stands for a space in tokens; nil where spaces are spaces.
    case characters(space: Unicode.Scalar?)

    /// The bytes that a token is found by in normalized text; nil where it is not found in text.
    func bytesInText(of token: String) -> [UInt8]? {
        switch self {
        case .byteLevel: ByteLevelAlphabet.bytes(of: token)
        case .characters: Array(token.utf8)
        }
    }

    /// The bytes that a token of the model stands for.
    func decodedBytes(of token: String) -> [UInt8] {
        switch self {
        case .byteLevel:
            // A token that is not written in the byte-level alphabet stands for itself.
            ByteLevelAlphabet.bytes(of: token) ?? Array(token.utf8)
        case .characters(let space):
            if let byte = CharacterSymbols.byte(named: token) { [byte] } else { spaced(token, space) }
        }
    }

    private func spaced(_ token: String, _ space: Unicode.Scalar?) -> [UInt8] {
        let bytes = Array(token.utf8)
        guard let space else { return bytes }
        return replacing(Array(String(space).utf8), in: bytes.span, by: [UInt8(ascii: " ")]) ?? bytes
    }

    /// How many bytes of normalized text a token of the model takes.
    func lengthInText(of token: String) -> Int {
        switch self {
        case .byteLevel: decodedBytes(of: token).count
        case .characters: CharacterSymbols.byte(named: token) == nil ? token.utf8.count : 1
        }
    }
}
