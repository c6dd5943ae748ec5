import Foundation
import Glibc

/// A file that grows at its end, for records that are too many to be written anew for each.
///
/// It has no rename that could make it whole. So its owner tells from the contents how far it is whole, by a count in a header,
/// a hash or the end of a line; what is behind that is of a write that did not end, and is cut off when the file is opened.
public struct GrowingFile: ~Copyable {
    private let path: String
    private let descriptor: Int32
    /// Bytes that are written and synced.
    public private(set) var length: Int

    /// Opens a file that is there, and cuts off what is behind its whole part.
    ///
    /// - Parameter length: Of the whole part.
    /// - Throws: ``AtomicFileError``, also for a file that is shorter.
    public init(path: String, keeping length: Int) throws {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AtomicFileError(path: path, code: errno) }
        do {
            try Self.cut(descriptor, to: length, of: path)
        } catch {
            close(descriptor)
            throw error
        }
        self.path = path
        self.descriptor = descriptor
        self.length = length
    }

    deinit { close(descriptor) }

    /// Writes behind the end, and syncs. A write that fails leaves nothing behind, so that others may follow.
    ///
    /// - Throws: ``AtomicFileError``.
    public mutating func append(_ bytes: RawSpan) throws {
        try append(bytes, with: FileSystem.write)
    }

    /// - Parameter write: Writes bytes where a descriptor stands, of a path.
    mutating func append(_ bytes: RawSpan, with write: (RawSpan, Int32, String) throws -> Void) throws {
        do {
            try seek(to: length)
            try write(bytes, descriptor, path)
            try FileSystem.sync(descriptor, of: path)
        } catch {
            try? Self.cut(descriptor, to: length, of: path)
            throw error
        }
        length += bytes.byteCount
    }

    /// Writes over bytes that are there, and syncs. A crash leaves the old bytes or the new ones if they are few, and in one
    /// sector of the device.
    ///
    /// - Throws: ``AtomicFileError``.
    public func overwrite(_ bytes: RawSpan, at offset: Int) throws {
        precondition(offset >= 0 && offset + bytes.byteCount <= length, "\(offset) is outside of the \(length) bytes")
        try seek(to: offset)
        try FileSystem.write(bytes, to: descriptor, of: path)
        try FileSystem.sync(descriptor, of: path)
    }

    private func seek(to offset: Int) throws {
        guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw AtomicFileError(path: path, code: errno) }
    }

    private static func cut(_ descriptor: Int32, to length: Int, of path: String) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw AtomicFileError(path: path, code: errno) }
        guard status.st_size >= length else {
            throw AtomicFileError.cannotWrite(
                path: path, reason: "it is \(status.st_size) bytes long, and should have \(length)")
        }
        guard status.st_size == length || ftruncate(descriptor, off_t(length)) == 0 else {
            throw AtomicFileError(path: path, code: errno)
        }
    }
}
