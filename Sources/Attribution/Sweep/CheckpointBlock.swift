import Files
import Foundation

/// One block of a checkpoint's file.
///
/// The file starts with eight bytes, `TRIBSWP` and the version 2. Blocks follow, one after another:
///
///     UInt32  length of the payload
///     UInt64  FNV-1a hash of the payload
///     payload
///
/// A payload's first byte is its kind. Kind 1 is a list of queries, numbered from 0 in the order of the file: a UInt32 count, and the
/// sixteen bytes of each query's key. Kind 2 is the scores of one micro-batch: the UInt32 number of the list, a UInt32 count of sequences,
/// and for each sequence the sixteen bytes of its key and one score for each query of the list.
///
/// A score begins with a byte whose bits name the parts that follow, in this order:
///
/// | bit | part |
/// |---|---|
/// | 0 | Float64 total, finite or not; without this bit the pair was not scored, and no other bit is set |
/// | 1 | Float64 token concentration |
/// | 2 | UInt32 count of layers, and a Float64 for each |
/// | 3 | UInt32 count of tokens, and a Float64 for each |
///
/// All numbers are little-endian.
enum CheckpointBlock {
    case queries([ContentKey])
    case scores([ScoredSequence], list: UInt32)

    static let magic = Array("TRIBSWP".utf8) + [2]
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

    /// The FNV-1a hash of 64 bits, which detects damage but not forgery.
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

    /// Whether a score can have exactly these parts.
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

/// The content of a checkpoint's file when it was opened.
struct CheckpointContents: Sendable {
    /// The length of the file up to the first block that cannot be read.
    private(set) var validBytes = 0
    private(set) var sequenceCount = 0
    var listCount: UInt32 { UInt32(lists.count) }

    private let data: Data
    private var lists: [QueryList] = []
    private var locations: [ContentKey: [Location]] = [:]

    private struct QueryList {
        /// The number of queries. If a key is in the list twice, ``columns`` has the last of the two.
        var width: Int
        var columns: [ContentKey: Int]
    }

    private struct Location {
        var list: Int
        var offset: Int
    }

    /// Reads a file. A missing file, or one of another format, has no content.
    init(file: URL) {
        data = (try? Data(contentsOf: file, options: .mappedIfSafe)) ?? Data()
        guard data.starts(with: CheckpointBlock.magic) else { return }
        validBytes = CheckpointBlock.magic.count
        while let end = readBlock(at: validBytes) { validBytes = end }
    }

    func knows(_ queries: [ContentKey]) -> Bool {
        lists.contains { list in queries.allSatisfy { list.columns[$0] != nil } }
    }

    func scores(of sequence: ContentKey, for queries: [ContentKey]) -> [SequenceScore]? {
        for location in locations[sequence] ?? [] {
            let list = lists[location.list]
            let columns = queries.compactMap { list.columns[$0] }
            guard columns.count == queries.count else { continue }
            var reader = LittleEndianReader(data, at: location.offset)
            let scores = (0..<list.width).compactMap { _ in reader.score() }
            guard scores.count == list.width else { continue }
            return columns.map { scores[$0] }
        }
        return nil
    }

    /// - Returns: The offset of the next block; `nil` if this one is cut short or damaged.
    private mutating func readBlock(at start: Int) -> Int? {
        var reader = LittleEndianReader(data, at: start)
        guard let length = reader.number(UInt32.self), let hash = reader.number(UInt64.self),
            Int(length) <= data.count - reader.position
        else { return nil }
        let end = reader.position + Int(length)
        let payload = data[(data.startIndex + reader.position)..<(data.startIndex + end)]
        guard CheckpointBlock.hash(payload) == hash, let kind = reader.number(UInt8.self) else { return nil }
        switch kind {
        case 1: return readList(&reader) ? end : nil
        case 2: return readScores(&reader) ? end : nil
        default: return nil
        }
    }

    private mutating func readList(_ reader: inout LittleEndianReader) -> Bool {
        guard let count = reader.number(UInt32.self) else { return false }
        var list = QueryList(width: Int(count), columns: [:])
        for column in 0..<Int(count) {
            guard let key = reader.key() else { return false }
            list.columns[key] = column
        }
        lists.append(list)
        return true
    }

    private mutating func readScores(_ reader: inout LittleEndianReader) -> Bool {
        guard let list = reader.number(UInt32.self), Int(list) < lists.count, let count = reader.number(UInt32.self)
        else { return false }
        var found: [(ContentKey, Int)] = []
        for _ in 0..<count {
            guard let key = reader.key() else { return false }
            found.append((key, reader.position))
            for _ in 0..<lists[Int(list)].width where reader.score() == nil { return false }
        }
        for (key, offset) in found { locations[key, default: []].append(Location(list: Int(list), offset: offset)) }
        sequenceCount += found.count
        return true
    }
}
