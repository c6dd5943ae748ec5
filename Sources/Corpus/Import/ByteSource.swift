import Files
import Foundation

/// A stream of bytes, in chunks whose size the source chooses.
protocol ByteSource: AnyObject {
    /// The next bytes, at least one; nil at the end.
    func nextChunk() throws -> [UInt8]?

    /// The number of bytes read from the start of the stream, such as a file.
    var bytesRead: Int { get }
}

final class FileByteSource: ByteSource {
    private let handle: FileHandle
    private let path: String
    private(set) var bytesRead = 0

    static let chunkSize = 1 << 18

    init(_ handle: FileHandle, path: String) {
        self.handle = handle
        self.path = path
    }

    func nextChunk() throws -> [UInt8]? {
        do {
            guard let data = try handle.read(upToCount: Self.chunkSize), !data.isEmpty else { return nil }
            bytesRead += data.count
            return [UInt8](data)
        } catch {
            throw CorpusImportError.unreadable(path: path, reason: error.localizedDescription)
        }
    }
}

final class MemoryByteSource: ByteSource {
    private let bytes: [UInt8]
    private(set) var bytesRead = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    func nextChunk() throws -> [UInt8]? {
        guard bytesRead < bytes.count else { return nil }
        let chunk = Array(bytes[bytesRead...].prefix(FileByteSource.chunkSize))
        bytesRead += chunk.count
        return chunk
    }
}

/// The decompressed bytes of a source in gzip or zstd format.
final class DecompressedByteSource: ByteSource {
    private let source: any ByteSource
    private let file: String
    private let decompressedChunk: () throws -> [UInt8]?

    init(gzip source: any ByteSource, file: String) throws {
        self.source = source
        self.file = file
        decompressedChunk = try GzipReader(source.nextChunk).nextChunk
    }

    init(zstd source: any ByteSource, file: String) throws {
        self.source = source
        self.file = file
        decompressedChunk = try ZstdReader(source.nextChunk).nextChunk
    }

    var bytesRead: Int { source.bytesRead }

    func nextChunk() throws -> [UInt8]? {
        do {
            return try decompressedChunk()
        } catch GzipError.corrupt(let reason), ZstdError.corrupt(let reason) {
            throw CorpusImportError.corruptCompression(file: file, reason: reason)
        } catch ZstdError.windowTooLarge(let limit) {
            throw CorpusImportError.windowTooLarge(file: file, limit: limit)
        } catch is GzipError, is ZstdError {
            throw CorpusImportError.truncatedCompression(file: file)
        }
    }
}

/// A source whose first bytes can be inspected.
final class PeekedByteSource: ByteSource {
    private let source: any ByteSource
    /// The first bytes of the source.
    private(set) var start: [UInt8] = []

    /// Reads chunks until `isEnough` accepts their bytes, or the source ends.
    init(_ source: any ByteSource, until isEnough: ([UInt8]) -> Bool) throws {
        self.source = source
        while !isEnough(start), let chunk = try source.nextChunk() {
            start.append(contentsOf: chunk)
        }
    }

    /// Removes these bytes from the start of the source, if it starts with them.
    func drop(_ prefix: [UInt8]) {
        if start.starts(with: prefix) { start.removeFirst(prefix.count) }
    }

    var bytesRead: Int { source.bytesRead }

    func nextChunk() throws -> [UInt8]? {
        guard !start.isEmpty else { return try source.nextChunk() }
        defer { start = [] }
        return start
    }
}
