/// One merge of byte-pair encoding: two neighbouring tokens become one.
struct Merge: Sendable, Equatable {
    let left: Int32
    let right: Int32
    let merged: Int32
}

/// The merges of a byte-pair encoding in order of rank, found by the pair they join.
struct MergeTable: Sendable {
    /// The rank of a pair that is never merged.
    static let none = Int32.max

    /// By rank. Of two merges of one pair, the later one counts.
    let merges: [Merge]

    private struct Slot {
        var pair: UInt64
        var rank: Int32
    }

    /// Open addressing, at most half of the slots taken; free ones have the rank ``none``.
    private let slots: [Slot]
    private let shift: UInt64

    init(_ merges: [Merge]) {
        self.merges = merges
        var bits: UInt64 = 4
        while 1 << bits < 2 * merges.count { bits += 1 }
        shift = 64 - bits
        let mask = 1 << Int(bits) - 1
        var slots = [Slot](repeating: Slot(pair: 0, rank: Self.none), count: mask + 1)
        for (rank, merge) in merges.enumerated() {
            let pair = Self.pair(merge.left, merge.right)
            var slot = Self.firstSlot(of: pair, shift: 64 - bits)
            while slots[slot].rank != Self.none, slots[slot].pair != pair { slot = (slot + 1) & mask }
            slots[slot] = Slot(pair: pair, rank: Int32(rank))
        }
        self.slots = slots
    }

    /// The rank at which the pair is merged, or ``none``.
    @inline(__always)
    func rank(of left: Int32, _ right: Int32) -> Int32 {
        let pair = Self.pair(left, right)
        var slot = Self.firstSlot(of: pair, shift: shift)
        while slots[slot].rank != Self.none {
            if slots[slot].pair == pair { return slots[slot].rank }
            slot = (slot + 1) & (slots.count - 1)
        }
        return Self.none
    }

    @inline(__always)
    private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Fibonacci hashing: the top bits of a product with 2⁶⁴ / φ.
    @inline(__always)
    private static func firstSlot(of pair: UInt64, shift: UInt64) -> Int {
        Int(truncatingIfNeeded: (pair &* 0x9e37_79b9_7f4a_7c15) &>> shift)
    }
}
