/// A source that must not give more than so many bytes: compressed data may grow a thousandfold.
final class LimitedByteSource: ByteSource {
    private let source: any ByteSource
    private let name: String
    private let limit: Int
    private var given = 0

    init(_ source: any ByteSource, name: String, limit: Int) {
        self.source = source
        self.name = name
        self.limit = limit
    }

    var bytesRead: Int { source.bytesRead }

    /// - Throws: ``CorpusImportError/tooLarge(name:limit:)``, or what the source throws.
    func nextChunk() throws -> [UInt8]? {
        guard let chunk = try source.nextChunk() else { return nil }
        given += chunk.count
        guard given <= limit else { throw CorpusImportError.tooLarge(name: name, limit: limit) }
        return chunk
    }
}
