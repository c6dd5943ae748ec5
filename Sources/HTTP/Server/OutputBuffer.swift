/// Bytes on their way to a client that the kernel has not taken yet.
struct OutputBuffer: Sendable {
    private(set) var segments: [[UInt8]] = []
    /// How much of the first segment is written.
    private(set) var offset = 0
    /// The bytes still to write.
    private(set) var count = 0

    /// Segments up to this size together are copied into one: a copy is cheaper than an entry in the kernel's vector.
    private static let joinLimit = 4096

    var isEmpty: Bool { count == 0 }

    mutating func append(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        count += bytes.count
        if let last = segments.indices.last, segments[last].count + bytes.count <= Self.joinLimit {
            segments[last].append(contentsOf: bytes)
        } else {
            segments.append(bytes)
        }
    }

    /// Drops what the kernel has taken from the front.
    mutating func drop(_ written: Int) {
        count -= written
        offset += written
        var finished = 0
        while finished < segments.count, offset >= segments[finished].count {
            offset -= segments[finished].count
            finished += 1
        }
        segments.removeFirst(finished)
    }

    mutating func removeAll() {
        self = OutputBuffer()
    }
}
