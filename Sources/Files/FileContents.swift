import CZlib
import Foundation
import Glibc

/// A file whose bytes can be read at any offset.
public final class FileContents: Sendable {
    private let descriptor: Int32
    /// The file's length in bytes when it was opened.
    public let length: Int

    /// - Throws: ``FileContentsError``.
    public init(path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileContentsError.unreadable(reason: String(cString: strerror(errno))) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw FileContentsError.unreadable(reason: "it is not a regular file")
        }
        self.descriptor = descriptor
        length = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// The bytes from an offset on; fewer than `count` only where the file ends.
    ///
    /// - Throws: ``FileContentsError``.
    public func read(at offset: Int, count: Int) throws -> [UInt8] {
        guard offset >= 0, count > 0 else { return [] }
        var failure: Int32?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                guard got > 0 else { break }
                filled += got
            }
        }
        if let failure { throw FileContentsError.unreadable(reason: String(cString: strerror(failure))) }
        return bytes
    }
}

public enum FileContentsError: Error, Equatable {
    case unreadable(reason: String)
}

/// The CRC-32 of zlib, gzip and PNG (RFC 1952, section 8).
public enum CRC32 {
    public static func checksum(of bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBufferPointer { buffer in
            UInt32(truncatingIfNeeded: crc32_z(0, buffer.baseAddress, buffer.count))
        }
    }
}
