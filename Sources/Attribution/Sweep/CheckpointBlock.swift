import Foundation

/// One block of a checkpoint's file.
///
/// The file starts with eight bytes, `TRIBSWP` and the version 1. Blocks follow, one behind the other:
///
///     UInt32  length of the payload
///     UInt64  FNV-1a hash of the payload
///     payload
///
/// A payload's first byte is its kind. Kind 1 is a list of queries, numbered from 0 in the order of the file: a UInt32 count and
/// sixteen bytes each. Kind 2 is the scores of one micro-batch: the UInt32 number of the list, a UInt32 count of sequences, and
/// for each sequence its sixteen bytes and for each query of the list its score: Float64 total, Float64 token concentration,
/// the scores of layers and those of tokens. The first two are not a number where there is none. The last two are a UInt32, 0
/// if there are none to tell and else one more than their number, and as many Float64. All numbers are little-endian.
enum CheckpointBlock {
    case queries([ContentKey])
    case scores([ScoredSequence], list: UInt32)

    static let magic = Array("TRIBSWP".utf8) + [1]
    /// Length and hash.
    static let headerBytes = 12

    /// The block with its header.
    var bytes: [UInt8] {
        var payload = LittleEndianWriter()
        switch self {
        case .queries(let keys):
            payload.append(byte: 1)
            payload.append(UInt32(keys.count))
            for key in keys { payload.append(key) }
        case .scores(let rows, let list):
            payload.append(byte: 2)
            payload.append(list)
            payload.append(UInt32(rows.count))
            for row in rows {
                payload.append(row.sequence)
                for score in row.scores {
                    payload.append(score.total.bitPattern)
                    payload.append((score.tokenConcentration ?? .nan).bitPattern)
                    payload.append(score.layers)
                    payload.append(score.tokens)
                }
            }
        }
        var block = LittleEndianWriter()
        block.append(UInt32(payload.bytes.count))
        block.append(Self.hash(payload.bytes))
        return block.bytes + payload.bytes
    }

    /// FNV-1a of 64 bits: finds damage, not intent.
    static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }
}

private struct LittleEndianWriter {
    var bytes: [UInt8] = []

    mutating func append(byte: UInt8) { bytes.append(byte) }

    mutating func append(_ number: some FixedWidthInteger & UnsignedInteger) {
        for shift in stride(from: 0, to: number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> shift))
        }
    }

    mutating func append(_ key: ContentKey) {
        append(key.high)
        append(key.low)
    }

    mutating func append(_ scores: [Double]?) {
        append(UInt32((scores?.count ?? -1) + 1))
        for score in scores ?? [] { append(score.bitPattern) }
    }
}

/// Reads numbers from where it stands; `nil` past the end.
struct LittleEndianReader {
    private let data: Data
    private(set) var position: Int

    init(_ data: Data, at position: Int) {
        self.data = data
        self.position = position
    }

    mutating func number<Number: FixedWidthInteger & UnsignedInteger>(_ type: Number.Type) -> Number? {
        let count = Number.bitWidth / 8
        guard position >= 0, position <= data.count - count else { return nil }
        var number: Number = 0
        for index in 0..<count { number |= Number(data[data.startIndex + position + index]) << (8 * index) }
        position += count
        return number
    }

    mutating func key() -> ContentKey? {
        guard let high = number(UInt64.self), let low = number(UInt64.self) else { return nil }
        return ContentKey(high: high, low: low)
    }

    mutating func score() -> SequenceScore? {
        guard let total = number(UInt64.self), let concentration = number(UInt64.self), let layers = scores(),
            let tokens = scores()
        else { return nil }
        let share = Double(bitPattern: concentration)
        return SequenceScore(
            total: Double(bitPattern: total), tokenConcentration: share.isNaN ? nil : share, layers: layers.values,
            tokens: tokens.values)
    }

    private mutating func scores() -> (values: [Double]?, Void)? {
        guard let count = number(UInt32.self) else { return nil }
        guard count > 0 else { return (nil, ()) }
        var values: [Double] = []
        for _ in 1..<count {
            guard let bits = number(UInt64.self) else { return nil }
            values.append(Double(bitPattern: bits))
        }
        return (values, ())
    }
}
