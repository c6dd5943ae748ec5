/// A vocabulary's ids by token. Tokens are compared by their bytes: as Swift strings, `Å` the letter and `Å` the unit are equal.
struct TokenLookup: Sendable {
    private var table: ByteStringTable
    private(set) var identifiers: [Int32] = []

    init(minimumCapacity: Int) {
        table = ByteStringTable(minimumCapacity: minimumCapacity)
    }

    /// The number of distinct tokens.
    var count: Int { identifiers.count }

    subscript(token: String) -> Int32? {
        table.number(of: Array(token.utf8)).map { identifiers[$0] }
    }

    /// A later id for the same token replaces an earlier one.
    mutating func insert(_ token: String, identifier: Int32) {
        let number = table.insert(Array(token.utf8))
        if number == identifiers.count {
            identifiers.append(identifier)
        } else {
            identifiers[number] = identifier
        }
    }
}

extension TokenLookup {
    /// Checks that there is a token for every byte of ordinary text.
    ///
    /// Some vocabularies in use, such as SmolLM2's, lack the symbols of control characters and of planes without characters.
    /// Encoding drops these bytes, as Hugging Face tokenizers does.
    func checkBytes(_ spelling: TokenSpelling, file: String) throws(TokenizerError) {
        for byte in UInt8.min...UInt8.max {
            switch spelling {
            case .byteLevel:
                let token = ByteLevelAlphabet.text(of: [byte])
                guard !Self.isEssential(byte) || self[token] != nil else {
                    throw .missingByteSymbol(file: file, byte: byte, token: token)
                }
            case .characters:
                let token = CharacterSymbols.name(of: byte)
                guard self[token] != nil else { throw .missingByteSymbol(file: file, byte: byte, token: token) }
            }
        }
    }

    /// Whether a byte occurs in the UTF-8 (RFC 3629, section 3) of characters other than control characters, in the planes that
    /// have characters other than private-use ones and variation selectors.
    private static func isEssential(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x80...0xBF, 0xC2...0xF0: true
        default: false
        }
    }
}

/// A set of byte strings in one buffer, numbered in the order in which they were added.
struct ByteStringTable: Sendable {
    private var buffer: [UInt8] = []
    private var ends: [Int] = []
    /// Open addressing: the number of a string, or a negative number for a free slot. At most half are taken.
    private var slots: [Int32]

    private static let free: Int32 = -1

    init(minimumCapacity: Int = 0) {
        var slotCount = 16
        while slotCount < 2 * minimumCapacity { slotCount *= 2 }
        slots = [Int32](repeating: Self.free, count: slotCount)
        ends.reserveCapacity(minimumCapacity)
    }

    var count: Int { ends.count }

    private func range(of number: Int) -> Range<Int> {
        (number == 0 ? 0 : ends[number - 1])..<ends[number]
    }

    subscript(number: Int) -> ArraySlice<UInt8> { buffer[range(of: number)] }

    /// The number of the string that equals `bytes[range]`, if there is one.
    func number(of bytes: Span<UInt8>, in range: Range<Int>) -> Int? {
        let slot = slot(of: bytes, in: range)
        return slots[slot] == Self.free ? nil : Int(slots[slot])
    }

    func number(of bytes: [UInt8]) -> Int? { number(of: bytes.span, in: bytes.indices) }

    /// Adds the string `bytes[range]` unless the table has it, and returns its number.
    mutating func insert(_ bytes: Span<UInt8>, in range: Range<Int>) -> Int {
        var slot = slot(of: bytes, in: range)
        guard slots[slot] == Self.free else { return Int(slots[slot]) }
        if 2 * (ends.count + 1) > slots.count {
            grow()
            slot = self.slot(of: bytes, in: range)
        }
        slots[slot] = Int32(ends.count)
        for index in range { buffer.append(bytes[index]) }
        ends.append(buffer.count)
        return ends.count - 1
    }

    mutating func insert(_ bytes: [UInt8]) -> Int { insert(bytes.span, in: bytes.indices) }

    /// The slot that holds the string, or the free one where it belongs.
    private func slot(of bytes: Span<UInt8>, in range: Range<Int>) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: byteStringHash(of: bytes, in: range)) & mask
        while slots[slot] != Self.free, !isEqual(Int(slots[slot]), to: bytes, in: range) { slot = (slot + 1) & mask }
        return slot
    }

    private func isEqual(_ number: Int, to bytes: Span<UInt8>, in range: Range<Int>) -> Bool {
        let own = self.range(of: number)
        guard own.count == range.count else { return false }
        for offset in 0..<own.count where buffer[own.lowerBound + offset] != bytes[range.lowerBound + offset] {
            return false
        }
        return true
    }

    private mutating func grow() {
        let mask = 2 * slots.count - 1
        var grown = [Int32](repeating: Self.free, count: 2 * slots.count)
        for number in ends.indices {
            var slot = Int(truncatingIfNeeded: byteStringHash(of: buffer.span, in: range(of: number))) & mask
            while grown[slot] != Self.free { slot = (slot + 1) & mask }
            grown[slot] = Int32(number)
        }
        slots = grown
    }
}

/// Two neighbouring numbers of 32 bits as one key.
@inline(__always)
func pairKey<Number: FixedWidthInteger>(_ first: Number, _ second: Number) -> UInt64 {
    UInt64(UInt32(truncatingIfNeeded: first)) << 32 | UInt64(UInt32(truncatingIfNeeded: second))
}

/// Fibonacci hashing: the top `64 - shift` bits of the key's product with 2⁶⁴ / φ.
@inline(__always)
func fibonacciHash(of key: UInt64, shift: UInt64) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) &>> shift)
}

/// A hash of `bytes[range]` (FNV-1a, with its bits folded so that the low ones are good).
@inline(__always)
func byteStringHash(of bytes: Span<UInt8>, in range: Range<Int>) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for index in range { hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3 }
    return hash ^ hash >> 29
}
