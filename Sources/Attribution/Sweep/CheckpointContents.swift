import Files
import Foundation

/// What a checkpoint's file had when it was opened.
struct CheckpointContents: Sendable {
    /// The length of the file up to the first block that cannot be read.
    private(set) var validBytes = 0
    private(set) var sequenceCount = 0
    var listCount: UInt32 { UInt32(lists.count) }

    private let data: Data
    private var lists: [QueryList] = []
    /// For each sequence, where its scores are.
    private var places: [ContentKey: [Place]] = [:]

    private struct QueryList {
        /// The same query may be in it twice; its scores are then the same.
        var width: Int
        var columns: [ContentKey: Int]
    }

    private struct Place {
        var list: Int
        var offset: Int
    }

    /// Reads a file; one that is not there, or is none of ours, has nothing.
    init(file: URL) {
        data = (try? Data(contentsOf: file, options: .mappedIfSafe)) ?? Data()
        guard data.starts(with: CheckpointBlock.magic) else { return }
        validBytes = CheckpointBlock.magic.count
        while let end = readBlock(at: validBytes) { validBytes = end }
    }

    /// Whether some list has all of the queries.
    func knows(_ queries: [ContentKey]) -> Bool {
        lists.contains { list in queries.allSatisfy { list.columns[$0] != nil } }
    }

    func scores(of sequence: ContentKey, for queries: [ContentKey]) -> [SequenceScore]? {
        for place in places[sequence] ?? [] {
            let list = lists[place.list]
            let columns = queries.compactMap { list.columns[$0] }
            guard columns.count == queries.count else { continue }
            var reader = LittleEndianReader(data, at: place.offset)
            let scores = (0..<list.width).compactMap { _ in reader.score() }
            guard scores.count == list.width else { continue }
            return columns.map { scores[$0] }
        }
        return nil
    }

    /// - Returns: Where the next block starts; `nil` if this one is cut short or damaged.
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
        for (key, offset) in found { places[key, default: []].append(Place(list: Int(list), offset: offset)) }
        sequenceCount += found.count
        return true
    }
}
