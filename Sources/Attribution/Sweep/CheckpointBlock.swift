import Files
import Foundation

/// One block of a checkpoint's file.
///
/// The file starts with eight bytes, `TRIBSWP` and the version 2. Blocks follow, one behind the other:
///
///     UInt32  length of the payload
///     UInt64  FNV-1a hash of the payload
///     payload
///
/// A payload's first byte is its kind. Kind 1 is a list of queries, numbered from 0 in the order of the file: a UInt32 count and
/// sixteen bytes each. Kind 2 is the scores of one micro-batch: the UInt32 number of the list, a UInt32 count of sequences, and
/// for each sequence its sixteen bytes and for each query of the list its score.
///
/// A score begins with a byte that says what there is of it, in this order:
///
/// | bit | what follows |
/// |---|---|
/// | 0 | Float64 total, finite or not; without this bit the pair was not scored, and no other bit is set |
/// | 1 | Float64 token concentration |
/// | 2 | UInt32 count of layers, and a Float64 each |
/// | 3 | UInt32 count of tokens, and a Float64 each |
///
/// All numbers are little-endian.
enum CheckpointBlock {
    case queries([ContentKey])
    case scores([ScoredSequence], list: UInt32)

    static let magic = Array("TRIBSWP".utf8) + [2]
    /// Length and hash.
    static let headerBytes = 12

    /// The block with its header.
    var bytes: [UInt8] {
        var payload: [UInt8] = []
        switch self {
        case .queries(let keys):
            payload.append(1)
            payload.append(littleEndian: UInt32(keys.count))
            for key in keys { payload.append(key) }
        case .scores(let rows, let list):
            payload.append(2)
            payload.append(littleEndian: list)
            payload.append(littleEndian: UInt32(rows.count))
            for row in rows {
                payload.append(row.sequence)
                for score in row.scores { payload.append(score) }
            }
        }
        var block: [UInt8] = []
        block.append(littleEndian: UInt32(payload.count))
        block.append(littleEndian: Self.hash(payload))
        return block + payload
    }

    /// FNV-1a of 64 bits: finds damage, not intent.
    static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ key: ContentKey) {
        append(littleEndian: key.high)
        append(littleEndian: key.low)
    }

    fileprivate mutating func append(_ score: SequenceScore) {
        append(ScoreParts(of: score).rawValue)
        guard score.isScored else { return }
        append(littleEndian: score.total.bitPattern)
        if let concentration = score.tokenConcentration { append(littleEndian: concentration.bitPattern) }
        for scores in [score.layers, score.tokens].compactMap({ $0 }) {
            append(littleEndian: UInt32(scores.count))
            for score in scores { append(littleEndian: score.bitPattern) }
        }
    }
}

/// What there is of a score.
private struct ScoreParts: OptionSet {
    let rawValue: UInt8
    static let total = ScoreParts(rawValue: 1)
    static let concentration = ScoreParts(rawValue: 2)
    static let layers = ScoreParts(rawValue: 4)
    static let tokens = ScoreParts(rawValue: 8)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    init(of score: SequenceScore) {
        self = []
        guard score.isScored else { return }
        insert(.total)
        if score.tokenConcentration != nil { insert(.concentration) }
        if score.layers != nil { insert(.layers) }
        if score.tokens != nil { insert(.tokens) }
    }

    /// Whether a score may be of just these parts.
    var isPossible: Bool { self == [] || (contains(.total) && rawValue < 16) }
}

extension LittleEndianReader {
    mutating func key() -> ContentKey? {
        guard let high = number(UInt64.self), let low = number(UInt64.self) else { return nil }
        return ContentKey(high: high, low: low)
    }

    mutating func score() -> SequenceScore? {
        guard let parts = number(UInt8.self).map(ScoreParts.init), parts.isPossible else { return nil }
        guard parts.contains(.total) else { return SequenceScore.unscored }
        guard let total = double() else { return nil }
        var (concentration, layers, tokens): (Double?, [Double]?, [Double]?)
        if parts.contains(.concentration) {
            guard let found = double() else { return nil }
            concentration = found
        }
        if parts.contains(.layers) {
            guard let found = doubles() else { return nil }
            layers = found
        }
        if parts.contains(.tokens) {
            guard let found = doubles() else { return nil }
            tokens = found
        }
        return SequenceScore(total: total, tokenConcentration: concentration, layers: layers, tokens: tokens)
    }

    private mutating func doubles() -> [Double]? {
        guard let count = number(UInt32.self) else { return nil }
        var values: [Double] = []
        for _ in 0..<count {
            guard let value = double() else { return nil }
            values.append(value)
        }
        return values
    }
}
