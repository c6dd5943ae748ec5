import Files

/// The pieces of a stream, compressed as one gzip member of which every piece can be read when it arrives.
struct GzipSequence: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    let pieces: any AsyncSequence<[UInt8], any Error> & Sendable
    let level: Int32

    func makeAsyncIterator() -> Iterator {
        Iterator(pieces: pieces.makeAsyncIterator(), compressor: Compressor(level: level))
    }

    struct Iterator: AsyncIteratorProtocol {
        var pieces: any AsyncIteratorProtocol<[UInt8], any Error>
        let compressor: Compressor?

        mutating func next() async throws -> [UInt8]? {
            guard let compressor else { throw GzipError.noMemory }
            while let piece = try await pieces.next(isolation: nil) {
                // An empty piece has nothing to flush.
                if !piece.isEmpty { return compressor.write(piece) }
            }
            return compressor.end()
        }
    }

    /// A compressor that an iterator can hold, and a copy of it share.
    final class Compressor {
        private var gzip: GzipWriter
        private var hasEnded = false

        init?(level: Int32) {
            guard let gzip = GzipWriter(level: level) else { return nil }
            self.gzip = gzip
        }

        func write(_ piece: [UInt8]) -> [UInt8] { gzip.write(piece, flush: .chunk) }

        func end() -> [UInt8]? {
            guard !hasEnded else { return nil }
            hasEnded = true
            return gzip.write([], flush: .end)
        }
    }
}
