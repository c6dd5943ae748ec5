import Files

/// Where a batch's buffers are, and whether they are compressed.
struct ArrowBatch {
    let source: TableSource
    /// The offset of the body in the file, and its length.
    let body: Range<Int>
    let rowCount: Int
    let isCompressed: Bool
    private let nodes: [(length: Int, nullCount: Int)]
    private let buffers: [(offset: Int, length: Int)]

    init(
        source: TableSource, body: Range<Int>, rowCount: Int, isCompressed: Bool, nodes: [(Int, Int)],
        buffers: [(Int, Int)]
    ) {
        self.source = source
        self.body = body
        self.rowCount = rowCount
        self.isCompressed = isCompressed
        self.nodes = nodes
        self.buffers = buffers
    }

    func node(_ index: Int) throws -> (length: Int, nullCount: Int) {
        guard nodes.indices.contains(index), nodes[index].length >= 0 else {
            throw source.corrupt("a batch describes too few columns")
        }
        return nodes[index]
    }

    func buffer(_ index: Int) throws -> ArrowBuffer {
        guard buffers.indices.contains(index) else { throw source.corrupt("a batch describes too few buffers") }
        let (offset, length) = buffers[index]
        guard offset >= 0, length >= 0, offset <= body.count, length <= body.count - offset else {
            throw source.corrupt("a buffer is outside of its batch")
        }
        let start = body.lowerBound + offset
        return try ArrowBuffer(source, start..<(start + length), isCompressed: isCompressed)
    }
}

/// A buffer's bytes, read once from its start to its end. Holds a small part of them.
final class ArrowBuffer {
    let isEmpty: Bool
    private let source: TableSource
    private let chunks: Chunks
    private let zstd: ZstdReader?
    private var chunk: [UInt8] = []
    private var used = 0
    /// The number of bytes taken and skipped.
    private(set) var offset = 0

    /// The buffer's bytes in the file, in parts.
    private final class Chunks {
        private let source: TableSource
        private var position: Int
        private let end: Int

        private static let size = 1 << 18

        init(_ source: TableSource, _ range: Range<Int>) {
            self.source = source
            position = range.lowerBound
            end = range.upperBound
        }

        func next() throws -> [UInt8]? {
            guard position < end else { return nil }
            let bytes = try source.read(at: position, count: min(Self.size, end - position), of: "a buffer does")
            position += bytes.count
            return bytes
        }
    }

    /// - Parameter isCompressed: Whether the buffer begins with its length after decompression, -1 standing for bytes as they are.
    fileprivate init(_ source: TableSource, _ range: Range<Int>, isCompressed: Bool) throws {
        self.source = source
        isEmpty = range.isEmpty
        guard isCompressed, !range.isEmpty else {
            chunks = Chunks(source, range)
            zstd = nil
            return
        }
        guard range.count >= 8 else { throw source.corrupt("a compressed buffer has no length") }
        let head = try source.read(at: range.lowerBound, count: 8, of: "a buffer does")
        chunks = Chunks(source, range.dropFirst(8))
        zstd = head.span.bytes.littleEndian(Int64.self, at: 0) == -1 ? nil : try ZstdReader(chunks.next)
    }

    /// The next bytes.
    ///
    /// - Throws: ``TableError`` if the buffer ends before.
    func take(_ count: Int) throws -> ArraySlice<UInt8> {
        offset += count
        if count <= chunk.count - used {
            defer { used += count }
            return chunk[used..<(used + count)]
        }
        var bytes: [UInt8] = []
        while bytes.count < count {
            try fill()
            let part = min(count - bytes.count, chunk.count - used)
            bytes.append(contentsOf: chunk[used..<(used + part)])
            used += part
        }
        return bytes[...]
    }

    func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) throws -> Number {
        let size = MemoryLayout<Number>.size
        if size <= chunk.count - used {
            defer {
                used += size
                offset += size
            }
            return chunk.span.bytes.littleEndian(type, at: used)
        }
        return Array(try take(size)).span.bytes.littleEndian(type, at: 0)
    }

    func skip(_ count: Int) throws {
        var remaining = count
        while remaining > 0 {
            try fill()
            let part = min(remaining, chunk.count - used)
            used += part
            remaining -= part
        }
        offset += count
    }

    /// Makes at least one byte available.
    private func fill() throws {
        while used == chunk.count {
            guard let next = try nextChunk() else { throw source.corrupt("a buffer ends before its values") }
            chunk = next
            used = 0
        }
    }

    private func nextChunk() throws -> [UInt8]? {
        guard let zstd else { return try chunks.next() }
        do {
            return try zstd.nextChunk()
        } catch let error as ZstdError {
            throw source.corrupt("a buffer cannot be decompressed (zstd: \(error))")
        }
    }
}
