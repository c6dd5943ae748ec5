/// A list of byte strings in one buffer, each found again by its bytes.
///
/// Strings are numbered in the order in which they were added.
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

    /// Where a string's bytes are in ``bytes``.
    func range(of number: Int) -> Range<Int> {
        (number == 0 ? 0 : ends[number - 1])..<ends[number]
    }

    /// All strings, one behind the other.
    var bytes: [UInt8] { buffer }

    subscript(number: Int) -> ArraySlice<UInt8> { buffer[range(of: number)] }

    /// The number of the string that equals `bytes[range]`, if there is one.
    func number(of bytes: Span<UInt8>, in range: Range<Int>) -> Int? {
        let slot = slot(of: bytes, in: range)
        return slots[slot] == Self.free ? nil : Int(slots[slot])
    }

    func number(of bytes: [UInt8]) -> Int? { number(of: bytes.span, in: bytes.indices) }

    /// Adds the string `bytes[range]` unless it is there already, and says its number.
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

/// A hash of `bytes[range]` (FNV-1a, with its bits folded so that the low ones are good).
@inline(__always)
func byteStringHash(of bytes: Span<UInt8>, in range: Range<Int>) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for index in range { hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3 }
    return hash ^ hash >> 29
}
