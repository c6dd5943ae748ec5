import CLinux
import Foundation
import Glibc

/// The system calls behind files that must outlast a crash, with errors that name the file.
public enum FileSystem {
    /// Makes a folder and those above it, so that they outlast a power failure. One that is there already is left as it is.
    ///
    /// - Throws: ``AtomicFileError``.
    public static func makeFolder(at path: String) throws {
        var missing: [URL] = []
        var folder = URL(fileURLWithPath: path).standardizedFileURL
        while !isFolder(folder.path), folder.path != "/" {
            missing.append(folder)
            folder.deleteLastPathComponent()
        }
        for folder in missing.reversed() {
            guard mkdir(folder.path, 0o777) == 0 || (errno == EEXIST && isFolder(folder.path)) else {
                throw AtomicFileError.cannotWrite(path: path, reason: String(cString: strerror(errno)))
            }
            try syncFolder(of: folder.path)
        }
    }

    /// Whether a file can be written in place of the one at a path, and leaves space on the disk for what is to come.
    ///
    /// - Returns: The free bytes there are, with those of the file that is replaced, if they are too few; nil if they are not, or
    ///   where the file system does not tell.
    public static func shortage(of bytes: Int, at path: String, leaving needed: Int) -> Int? {
        guard let free = freeBytes(beside: path) else { return nil }
        let available = free + (length(of: path) ?? 0)
        return available - bytes < needed ? available : nil
    }

    /// The bytes that a file at a path could take at most; nil where the file system does not tell, or for a missing folder.
    static func freeBytes(beside path: String) -> Int? {
        var status = statvfs()
        guard statvfs(folder(of: path), &status) == 0 else { return nil }
        let (bytes, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(
            by: Int(clamping: status.f_frsize))
        return overflow ? .max : bytes
    }

    /// The length of a file; nil if there is none.
    static func length(of path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    static func folder(of path: String) -> String {
        URL(fileURLWithPath: path).deletingLastPathComponent().path
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Exchanges what is at two paths.
    ///
    /// - Returns: 0, or the error's code.
    static func exchange(_ path: String, _ other: String) -> Int32 {
        tributary_exchange(path, other) == 0 ? 0 : errno
    }

    /// Writes all of the bytes where the descriptor stands.
    static func write(_ bytes: RawSpan, to descriptor: Int32, of path: String) throws {
        var offset = 0
        while offset < bytes.byteCount {
            let written = bytes.extracting(offset...).withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if written > 0 {
                offset += written
            } else if written == 0 || errno != EINTR {
                throw AtomicFileError(path: path, code: written == 0 ? ENOSPC : errno)
            }
        }
    }

    /// Returns when the device has what was written.
    static func sync(_ descriptor: Int32, of path: String) throws {
        while fsync(descriptor) != 0 {
            guard errno == EINTR else { throw AtomicFileError(path: path, code: errno) }
        }
    }

    /// Makes new names beside a path outlast a power failure.
    static func syncFolder(of path: String) throws {
        try syncFolder(at: folder(of: path), of: path)
    }

    /// Makes the names in a folder outlast a power failure.
    ///
    /// - Parameter path: Named by the error.
    static func syncFolder(at folder: String, of path: String) throws {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AtomicFileError(path: path, code: errno) }
        defer { close(descriptor) }
        // EINVAL: a file system without the notion of syncing a folder.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw AtomicFileError(path: path, code: errno) }
    }
}
