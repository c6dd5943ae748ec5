/// Decompression of what is in memory.
public enum Gzip {
    /// The bytes that a gzip stream (RFC 1952) of one member or several stands for.
    ///
    /// - Parameters:
    ///   - name: How the stream is called in errors.
    ///   - limit: The most bytes to give; not much more than these are ever held.
    ///   - willGrow: Told how many bytes more are about to be held. What it throws ends the decompression.
    /// - Throws: ``CorpusImportError/truncatedGzip(file:)``, ``CorpusImportError/corruptGzip(file:reason:)``,
    ///   ``CorpusImportError/tooLarge(name:limit:)``.
    public static func decompress(
        _ bytes: [UInt8], name: String, limit: Int, willGrow: (Int) throws -> Void = { _ in }
    ) throws -> [UInt8] {
        let source = LimitedByteSource(
            try GzipByteSource(MemoryByteSource(bytes), file: name), name: name, limit: limit)
        var decompressed: [UInt8] = []
        decompressed.reserveCapacity(min(announcedLength(of: bytes), limit))
        while let chunk = try source.nextChunk() {
            try willGrow(chunk.count)
            decompressed += chunk
        }
        return decompressed
    }

    /// What the stream's last four bytes say of its length (RFC 1952 section 2.3.1), as far as deflate can have made so much of so
    /// little. Memory that is reserved for it and stays unused is never touched.
    private static func announcedLength(of bytes: [UInt8]) -> Int {
        let length = bytes.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        return min(length, bytes.count * highestRatio)
    }

    /// A bit of deflate's stands for 129 bytes at most (zlib.net/zlib_tech.html).
    private static let highestRatio = 1032
}
