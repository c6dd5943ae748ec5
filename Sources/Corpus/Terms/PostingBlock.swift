import Files

/// The sequences of one stretch of the corpus that have a token: one row of the table `postings`.
///
/// A stretch has ``span`` rowids. `rowids` is the shorter of two forms, and the first if both are equally long:
///
///     a list   for each rowid, ascending, its distance from the stretch's first as two bytes, least significant first
///     bits     bit i % 8 of byte i / 8 is set for each rowid at distance i from the stretch's first; the last byte has a set bit
///
/// A list has 2 × `count` bytes; bits have fewer than that. A posting thus takes at most two bytes, and an eighth of a byte for a token
/// that nearly every sequence has. (The containers of Roaring bitmaps: Chambi, Lemire, Kaser and Godin 2016.)
struct PostingBlock: Equatable {
    /// The number of rowids in a stretch. The bits of one fill an overflow page of SQLite, together with the part in the row itself.
    static let span = 1 << 15

    static let noBits = [UInt8](repeating: 0, count: span / 8)
    /// The number of rowids in the block, at least one.
    let count: Int
    /// The rowids in the form that is stored.
    let rowids: [UInt8]

    /// The block with these bits; nil if no bit is set.
    init?(bits: [UInt8]) {
        count = bits.reduce(0) { $0 + $1.nonzeroBitCount }
        guard let end = bits.lastIndex(where: { $0 != 0 }) else { return nil }
        guard 2 * count <= end + 1 else {
            rowids = Array(bits[...end])
            return
        }
        var list: [UInt8] = []
        list.reserveCapacity(2 * count)
        for (index, byte) in bits[...end].enumerated() where byte != 0 {
            for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 { list.append(littleEndian: UInt16(8 * index + bit)) }
        }
        rowids = list
    }

    /// The block of a row; nil if this type cannot have written the row.
    init?(count: Int, rowids: [UInt8]) {
        guard (1...Self.span).contains(count), !rowids.isEmpty, rowids.count <= min(2 * count, Self.span / 8) else {
            return nil
        }
        self.count = count
        self.rowids = rowids
    }

    private var isList: Bool { rowids.count == 2 * count }

    private func distance(at index: Int) -> Int { Int(rowids[index]) | Int(rowids[index + 1]) << 8 }

    /// The last rowid's distance from the stretch's first.
    var last: Int {
        isList ? distance(at: rowids.count - 2) : 8 * rowids.count - 1 - (rowids.last?.leadingZeroBitCount ?? 0)
    }

    /// Sets the block's bits in a row of bits of `size` bytes that begins at `start`.
    ///
    /// - Returns: Whether all of them fit into the row.
    func set(in bits: inout [UInt8], from start: Int, size: Int) -> Bool {
        guard isList else {
            guard rowids.count <= size else { return false }
            bits.replaceSubrange(start..<(start + rowids.count), with: rowids)
            return true
        }
        for index in stride(from: 0, to: rowids.count, by: 2) {
            let distance = distance(at: index)
            guard distance < 8 * size else { return false }
            bits[start + distance / 8] |= 1 << UInt8(distance % 8)
        }
        return true
    }

    /// The block's bits, one for each rowid of the stretch; nil if the block has rowids beyond the stretch.
    func bits() -> [UInt8]? {
        var bits = Self.noBits
        return set(in: &bits, from: 0, size: bits.count) ? bits : nil
    }

    /// The part of the block among the first `limit` rowids of its stretch; nil if it is empty.
    func prefix(_ limit: Int) -> PostingBlock? {
        guard var bits = bits() else { return nil }
        for index in bits.indices where 8 * index + 8 > limit {
            let kept = max(0, limit - 8 * index)
            bits[index] &= UInt8(truncatingIfNeeded: (1 << kept) - 1)
        }
        return PostingBlock(bits: bits)
    }
}
