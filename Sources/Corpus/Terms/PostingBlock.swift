import Foundation
import GRDB

/// Which sequences of one stretch of the corpus have a token: one row of the table `postings`.
///
/// The stretches are of ``span`` rowids. `rowids` is the shorter of two forms, and of two as long the first:
///
///     a list   for each rowid, ascending, its distance from the stretch's first as two bytes, least significant first
///     bits     bit i % 8 of byte i / 8 is set for each rowid i behind the stretch's first; no byte follows the last set bit's
///
/// A list has 2 × `count` bytes; bits have fewer than that. A posting so takes at most two bytes, and a token that nearly every
/// sequence has takes an eighth. (The containers of Roaring bitmaps: Chambi, Lemire, Kaser and Godin 2016.)
struct PostingBlock: Equatable {
    /// How many rowids a stretch has. The bits of one fill an overflow page of SQLite's, with what the row itself holds.
    static let span = 1 << 15

    /// The bits of a stretch that are all zero.
    static let noBits = [UInt8](repeating: 0, count: span / 8)

    /// How many rowids the block has, at least one.
    private(set) var count: Int

    private var bytes: [UInt8]

    /// The block with these bits.
    ///
    /// - Returns: Nil if no bit is set.
    init?(bits: [UInt8]) {
        count = bits.reduce(0) { $0 + $1.nonzeroBitCount }
        guard let end = bits.lastIndex(where: { $0 != 0 }) else { return nil }
        guard 2 * count <= end + 1 else {
            bytes = Array(bits[...end])
            return
        }
        bytes = []
        bytes.reserveCapacity(2 * count)
        for (index, byte) in bits[...end].enumerated() where byte != 0 {
            for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 {
                let distance = 8 * index + bit
                bytes.append(UInt8(truncatingIfNeeded: distance))
                bytes.append(UInt8(truncatingIfNeeded: distance >> 8))
            }
        }
    }

    /// The block of a row.
    ///
    /// - Returns: Nil if the row is none that this type has written.
    init?(count: Int, rowids: [UInt8]) {
        guard (1...Self.span).contains(count), !rowids.isEmpty, rowids.count <= min(2 * count, Self.span / 8) else {
            return nil
        }
        self.count = count
        bytes = rowids
    }

    /// The form in which the block is kept.
    var rowids: [UInt8] { bytes }

    /// The last rowid's distance from the stretch's first.
    var last: Int {
        guard bytes.count == 2 * count else {
            return 8 * bytes.count - 1 - (bytes.last?.leadingZeroBitCount ?? 0)
        }
        return Int(bytes[bytes.count - 2]) | Int(bytes[bytes.count - 1]) << 8
    }

    /// Sets the block's bits in a row of bits of `size` bytes that begins at `start`.
    ///
    /// - Returns: Whether all of them had a place in the row.
    func set(in bits: inout [UInt8], from start: Int, size: Int) -> Bool {
        guard bytes.count == 2 * count else {
            guard bytes.count <= size else { return false }
            bits.replaceSubrange(start..<(start + bytes.count), with: bytes)
            return true
        }
        for index in stride(from: 0, to: bytes.count, by: 2) {
            let distance = Int(bytes[index]) | Int(bytes[index + 1]) << 8
            guard distance < 8 * size else { return false }
            bits[start + distance / 8] |= 1 << UInt8(distance % 8)
        }
        return true
    }

    /// The block's bits, as many as a stretch has, or so many bytes; nil if it has rowids beyond them.
    func bits(size: Int = span / 8) -> [UInt8]? {
        var bits = [UInt8](repeating: 0, count: size)
        return set(in: &bits, from: 0, size: size) ? bits : nil
    }

    /// The part of the block that is among the first `limit` rowids of its stretch; nil if there is none.
    func prefix(_ limit: Int) -> PostingBlock? {
        guard var bits = bits() else { return nil }
        for index in bits.indices where 8 * index + 8 > limit {
            let kept = max(0, limit - 8 * index)
            bits[index] &= UInt8(truncatingIfNeeded: (1 << kept) - 1)
        }
        return PostingBlock(bits: bits)
    }
}
