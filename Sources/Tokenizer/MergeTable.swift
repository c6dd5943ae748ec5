/// One merge of byte-pair encoding: two neighbouring tokens become one.
struct Merge: Sendable, Equatable {
    let left: Int32
    let right: Int32
    let merged: Int32
}

/// The merges of a byte-pair encoding, found by the pair they join.
struct MergeTable: Sendable {
    /// What becomes of a pair: the lower the rank, the sooner.
    struct Entry: Sendable, Equatable {
        let rank: Int32
        let merged: Int32

        /// For a pair that is never merged.
        static let none = Entry(rank: MergeTable.none, merged: 0)
    }

    /// The rank of a pair that is never merged.
    static let none = Int32.max

    private struct Slot {
        var pair: UInt64
        var entry: Entry
    }

    /// Open addressing, at most half of the slots taken; free ones have the rank ``none``.
    private let slots: [Slot]
    private let shift: UInt64

    /// - Parameters:
    ///   - merges: Of two merges of one pair, the later one counts.
    ///   - ranks: One a merge; nil where each has its place in the list for its rank.
    init(_ merges: [Merge], ranks: [Int32]? = nil) {
        var bits: UInt64 = 4
        while 1 << bits < 2 * merges.count { bits += 1 }
        shift = 64 - bits
        let mask = 1 << Int(bits) - 1
        var slots = [Slot](repeating: Slot(pair: 0, entry: .none), count: mask + 1)
        for (place, merge) in merges.enumerated() {
            let pair = Self.pair(merge.left, merge.right)
            var slot = Self.firstSlot(of: pair, shift: 64 - bits)
            while slots[slot].entry.rank != Self.none, slots[slot].pair != pair { slot = (slot + 1) & mask }
            slots[slot] = Slot(pair: pair, entry: Entry(rank: ranks?[place] ?? Int32(place), merged: merge.merged))
        }
        self.slots = slots
    }

    /// What becomes of the pair.
    @inline(__always)
    func entry(of left: Int32, _ right: Int32) -> Entry {
        let pair = Self.pair(left, right)
        var slot = Self.firstSlot(of: pair, shift: shift)
        while slots[slot].entry.rank != Self.none {
            if slots[slot].pair == pair { return slots[slot].entry }
            slot = (slot + 1) & (slots.count - 1)
        }
        return .none
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
