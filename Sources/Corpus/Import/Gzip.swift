/// Decompression of what is in memory.
public enum Gzip {
    /// The bytes that a gzip stream (RFC 1952) of one member or several stands for.
    ///
    /// - Parameters:
    ///   - name: How the stream is called in errors.
    ///   - limit: The most bytes to give; not much more than these are ever held.
    /// - Throws: ``CorpusImportError/truncatedGzip(file:)``, ``CorpusImportError/corruptGzip(file:reason:)``,
    ///   ``CorpusImportError/tooLarge(name:limit:)``.
    public static func decompress(_ bytes: [UInt8], name: String, limit: Int) throws -> [UInt8] {
        let source = LimitedByteSource(
            try GzipByteSource(MemoryByteSource(bytes), file: name), name: name, limit: limit)
        var decompressed: [UInt8] = []
        while let chunk = try source.nextChunk() { decompressed += chunk }
        return decompressed
    }
}
