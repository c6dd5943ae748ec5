/// How the tokens of a vocabulary are written.
enum TokenSpelling: Sendable, Equatable {
    /// Each byte as its character in ``ByteLevelAlphabet``.
    case byteLevel
    /// As text, except spaces, and the bytes of characters that the vocabulary lacks (`<0x0A>`).
    ///
    /// - space: The character that stands for a space in tokens; nil where a space stands for itself.
    case characters(space: Unicode.Scalar?)

    /// The bytes of normalized text that match a token; nil if none can.
    func bytesInText(of token: String) -> [UInt8]? {
        switch self {
        case .byteLevel: ByteLevelAlphabet.bytes(of: token)
        case .characters: Array(token.utf8)
        }
    }

    /// The bytes that a token stands for.
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

    /// The number of bytes of normalized text that a token covers.
    func lengthInText(of token: String) -> Int {
        switch self {
        case .byteLevel: decodedBytes(of: token).count
        case .characters: CharacterSymbols.byte(named: token) == nil ? token.utf8.count : 1
        }
    }
}

/// The 256 printable characters that stand for bytes in the tokens of a byte-level tokenizer's file.
///
/// Bytes that are printable in Latin-1 stand for themselves; the other 68 take U+0100 onwards, in order of the byte
/// (Radford et al. 2019, the GPT-2 release). A space is written `Ġ`, a line feed `Ċ`.
enum ByteLevelAlphabet {
    /// The character for each byte.
    static let scalars: [Unicode.Scalar] = {
        var substitutes = 0
        return (UInt8.min...UInt8.max).map { byte in
            if isWrittenAsItself(byte) { return Unicode.Scalar(byte) }
            defer { substitutes += 1 }
            return Unicode.Scalar(UInt16(256 + substitutes)) ?? Unicode.Scalar(byte)
        }
    }()

    /// The bytes in order of their characters: the order in which a trained vocabulary lists its byte symbols.
    static let bytesInOrderOfScalars: [UInt8] = (UInt8.min...UInt8.max).sorted { scalars[Int($0)] < scalars[Int($1)] }

    private static let byteOfScalar: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 512)
        for byte in UInt8.min...UInt8.max { bytes[Int(scalars[Int(byte)].value)] = byte }
        return bytes
    }()

    private static func isWrittenAsItself(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
    }

    /// The bytes that a token's text stands for; nil where a character is not of the alphabet.
    static func bytes(of text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            guard scalar.value < 512, let byte = byteOfScalar[Int(scalar.value)] else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// The text that stands for bytes.
    static func text(of bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(scalars[Int(byte)]) }
        return String(text)
    }
}

/// The initial tokens of characters in a vocabulary like SentencePiece's: a character is its own token, or, where the vocabulary
/// lacks it, the tokens of its bytes.
struct CharacterSymbols: Sendable {
    /// The token that stands for a byte, such as `<0x0A>` for a line feed.
    static func name(of byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x\(digits.count == 1 ? "0" : "")\(digits)>"
    }

    /// The byte that a token such as `<0x0A>` stands for.
    static func byte(named token: String) -> UInt8? {
        guard token.utf8.count == 6, token.utf8.starts(with: "<0x".utf8) else { return nil }
        let digits = String(decoding: token.utf8.dropFirst(3).dropLast(), as: UTF8.self)
        guard let byte = UInt8(digits, radix: 16), token.utf8.elementsEqual(name(of: byte).utf8) else { return nil }
        return byte
    }

    private static let none: Int32 = -1

    /// By byte.
    private let byteTokens: [Int32]
    /// For each block of 256 code points, where its tokens start in `tokens`.
    private var blocks = [Int32](repeating: 0, count: 0x1100)
    /// Begins with a block for code points without a token.
    private var tokens = [Int32](repeating: none, count: 256)

    /// - Parameter vocabulary: Tokens by id, among them one for each byte.
    init(vocabulary: [String?]) {
        var byteTokens = [Int32](repeating: 0, count: 256)
        for (identifier, token) in vocabulary.enumerated() {
            guard let token else { continue }
            if let byte = Self.byte(named: token) { byteTokens[Int(byte)] = Int32(identifier) }
            let scalars = token.unicodeScalars
            guard let scalar = scalars.first, scalars.index(after: scalars.startIndex) == scalars.endIndex else {
                continue
            }
            let block = Int(scalar.value >> 8)
            if blocks[block] == 0 {
                blocks[block] = Int32(tokens.count)
                tokens += [Int32](repeating: Self.none, count: 256)
            }
            tokens[Int(blocks[block]) + Int(scalar.value & 0xFF)] = Int32(identifier)
        }
        self.byteTokens = byteTokens
    }

    /// Appends the initial tokens of the characters of `bytes[range]`, valid UTF-8, until there are `limit` symbols or a few more.
    ///
    /// - Returns: The index after the last character read.
    @discardableResult
    func append(_ bytes: Span<UInt8>, in range: Range<Int>, to symbols: inout [Int32], limit: Int = .max) -> Int {
        var position = range.lowerBound
        while position < range.upperBound, symbols.count < limit {
            let (value, length) = scalar(at: position, in: bytes)
            let token = tokens[Int(blocks[Int(value >> 8)]) + Int(value & 0xFF)]
            if token != Self.none {
                symbols.append(token)
            } else {
                for index in position..<position + length { symbols.append(byteTokens[Int(bytes[index])]) }
            }
            position += length
        }
        return position
    }
}
