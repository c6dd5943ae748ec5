/// The tokens that single characters start out as where words are written as they are, as SentencePiece does: each
/// character its own token, or, where the vocabulary lacks it, the tokens of its bytes.
struct CharacterSymbols: Sendable {
    /// The token that stands for a byte is written so: `<0x0A>` for a line feed.
    static func name(of byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return "<0x\(digits.count == 1 ? "0" : "")\(digits)>"
    }

    /// The byte that a token so written stands for.
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
    /// The first block is that of code points that are no token.
    private var tokens = [Int32](repeating: none, count: 256)

    /// - Parameter vocabulary: Tokens by id. All bytes have theirs.
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

    /// Appends what the characters of `bytes[range]`, valid UTF-8, start out as, until there are `limit` symbols or a few more.
    ///
    /// - Returns: Where the first character starts that is left, or the range's end.
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
