import Foundation
import Glibc

/// A file that appears at its place only when it is whole.
///
/// The bytes go to a file beside the place, which ``commit()`` syncs and renames: after a crash there is the old file or
/// the new one, and what was written without a commit is removed.
public struct AtomicFile: ~Copyable {
    private let path: String
    private let temporaryPath: String
    private var descriptor: Int32?

    /// Opens a file beside `path`, in the same folder and so on the same file system.
    ///
    /// - Parameter permissions: Those of a new file, less what the process's mask takes away.
    /// - Throws: ``AtomicFileError``, also where the folder is missing or not writable.
    public init(replacing path: String, permissions: UInt32 = 0o666) throws {
        let place = URL(fileURLWithPath: path)
        // Part of the name tells whose remains these are after a crash; all of it could be too long for the file system.
        let start = String(decoding: place.lastPathComponent.utf8.prefix(100), as: UTF8.self)
        let name = ".\(start).\(UUID().uuidString).partial"
        let temporary = place.deletingLastPathComponent().appendingPathComponent(name).path
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, permissions)
        guard descriptor >= 0 else { throw AtomicFileError(path: path, code: errno) }
        self.init(replacing: path, temporaryPath: temporary, descriptor: descriptor)
    }

    /// Takes over an open descriptor, to be written, synced and closed here.
    init(replacing path: String, temporaryPath: String, descriptor: Int32) {
        self.path = path
        self.temporaryPath = temporaryPath
        self.descriptor = descriptor
    }

    deinit {
        guard let descriptor else { return }
        close(descriptor)
        unlink(temporaryPath)
    }

    /// Writes all of the bytes after those written before.
    ///
    /// - Throws: ``AtomicFileError/diskFull(path:)`` or another ``AtomicFileError``.
    public mutating func append(_ bytes: RawSpan) throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        var offset = 0
        while offset < bytes.byteCount {
            let written = bytes.extracting(offset...).withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if written > 0 {
                offset += written
            } else if written < 0, errno == EINTR {
                continue
            } else {
                throw AtomicFileError(path: path, code: written == 0 ? ENOSPC : errno)
            }
        }
    }

    /// Syncs the file, renames it into its place and syncs the folder.
    ///
    /// - Throws: ``AtomicFileError``; the file that was at the place before is then still there.
    public mutating func commit() throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        guard fsync(descriptor) == 0 else { throw AtomicFileError(path: path, code: errno) }
        self.descriptor = nil
        // Network file systems report a failed write only here.
        guard close(descriptor) == 0, rename(temporaryPath, path) == 0 else {
            let code = errno
            unlink(temporaryPath)
            throw AtomicFileError(path: path, code: code)
        }
        try syncFolder()
    }

    /// Makes the new name outlast a power failure: the rename is a change of the folder, not of the file.
    private func syncFolder() throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AtomicFileError(path: path, code: errno) }
        defer { close(descriptor) }
        // EINVAL: a file system without the notion of syncing a folder.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw AtomicFileError(path: path, code: errno) }
    }

    /// Writes a whole file, or leaves what was there.
    ///
    /// - Throws: ``AtomicFileError``.
    public static func write(_ data: Data, to path: String, permissions: UInt32 = 0o666) throws {
        var file = try AtomicFile(replacing: path, permissions: permissions)
        try file.append(data.bytes)
        try file.commit()
    }
}

/// Why a file could not be written; what was at its place is untouched.
public enum AtomicFileError: Error, Equatable {
    case diskFull(path: String)
    case missingFolder(path: String)
    case cannotWrite(path: String, reason: String)

    init(path: String, code: Int32) {
        switch code {
        case ENOSPC, EDQUOT: self = .diskFull(path: path)
        case ENOENT, ENOTDIR: self = .missingFolder(path: path)
        default: self = .cannotWrite(path: path, reason: String(cString: strerror(code)))
        }
    }
}

extension AtomicFileError: CustomStringConvertible, LocalizedError {
    public var description: String {
        switch self {
        case .diskFull(let path):
            "\(path): the disk is full, or the quota used up. Nothing was changed: free some space and try again."
        case .missingFolder(let path):
            "\(path): cannot be written, as its folder does not exist. Create the folder, or name another."
        case .cannotWrite(let path, let reason):
            "\(path): cannot be written (\(reason)). Check the path and its permissions."
        }
    }

    public var errorDescription: String? { description }
}
