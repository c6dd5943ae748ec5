/// Where text can be cut without any merge noticing: between two characters that stand side by side in no token.
///
/// A merge that joined across such a place would make a token that holds the two. SentencePiece tokenizers mostly take a
/// whole text for one word; cut so, it falls into pieces that are short and come again.
struct MergeBorders: Sendable {
    /// A bit for each hash of a pair of characters; set for pairs that some token holds, and for a few others.
    private let bits: [UInt64]
    private let shift: UInt64

    /// - Parameter tokens: The tokens that merges make.
    init(tokens: some Collection<String>) {
        var pairs: Set<UInt64> = []
        for token in tokens {
            var previous: UInt32?
            for scalar in token.unicodeScalars {
                if let previous { pairs.insert(Self.pair(previous, scalar.value)) }
                previous = scalar.value
            }
        }
        // At 16 bits a pair, one pair in sixteen at most is taken for another.
        var exponent: UInt64 = 10
        while 1 << exponent < 16 * pairs.count { exponent += 1 }
        shift = 64 - exponent
        var bits = [UInt64](repeating: 0, count: 1 << Int(exponent - 6))
        for pair in pairs {
            let place = Self.place(of: pair, shift: 64 - exponent)
            bits[place >> 6] |= 1 << UInt64(place & 63)
        }
        self.bits = bits
    }

    /// Where the first piece of `bytes[range]`, which is valid UTF-8 and not empty, ends.
    @inline(__always)
    func endOfPiece(of bytes: Span<UInt8>, in range: Range<Int>) -> Int {
        var (previous, length) = scalar(at: range.lowerBound, in: bytes)
        var position = range.lowerBound + length
        while position < range.upperBound {
            let (value, length) = scalar(at: position, in: bytes)
            let place = Self.place(of: Self.pair(previous, value), shift: shift)
            if bits[place >> 6] & 1 << UInt64(place & 63) == 0 { return position }
            previous = value
            position += length
        }
        return position
    }

    @inline(__always)
    private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

    @inline(__always)
    private static func place(of pair: UInt64, shift: UInt64) -> Int {
        Int(truncatingIfNeeded: (pair &* 0x9e37_79b9_7f4a_7c15) &>> shift)
    }
}
