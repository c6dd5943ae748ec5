import Foundation
import Glibc

/// A file that grows at its end, for records that are too many to be rewritten whenever one is added.
///
/// No rename makes it complete. Its owner therefore finds out from the contents how much of the file is valid, by a count in a header, a
/// hash or the end of a line. Bytes after that come from an interrupted write, and are cut off when the file is opened.
public struct GrowingFile: ~Copyable, Sendable {
    private let path: String
    private let descriptor: Int32
    /// The number of bytes that are written and synced.
    public private(set) var length: Int

    /// Opens an existing file, and cuts off the bytes after its valid part.
    ///
    /// - Parameter length: The length of the valid part.
    /// - Throws: ``AtomicFileError``, also if the file is shorter.
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

    /// Writes at the end, and syncs. A failed write is undone, so that others can follow.
    ///
    /// - Throws: ``AtomicFileError``.
    public mutating func append(_ bytes: RawSpan) throws {
        try append(bytes, with: FileSystem.write)
    }

    /// - Parameter write: Writes bytes at the position of a descriptor for a path.
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

    /// Overwrites existing bytes, and syncs. After a crash they are the old bytes or the new ones, if they are in one sector of the device.
    ///
    /// - Precondition: The bytes end at ``length`` or before.
    /// - Throws: ``AtomicFileError``.
    public func overwrite(_ bytes: RawSpan, at offset: Int) throws {
        precondition(
            offset >= 0 && offset + bytes.byteCount <= length, "\(bytes.byteCount) bytes at \(offset) of \(length)")
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
                path: path, reason: "it has \(status.st_size) bytes, but \(length) were expected")
        }
        guard status.st_size == length || ftruncate(descriptor, off_t(length)) == 0 else {
            throw AtomicFileError(path: path, code: errno)
        }
    }
}
