import Foundation
import Glibc

/// A file that appears at its path only when it is complete.
///
/// The bytes go to a temporary file in the same folder, which ``commit()`` syncs and renames: after a crash, the path has the old file or
/// the new one. A temporary file that is not committed is removed: at once or, after a crash, when the file is next written.
public struct AtomicFile: ~Copyable {
    private let path: String
    private let temporaryPath: String
    private var descriptor: Int32?

    /// Opens a temporary file in the folder of `path`, so that both are on the same file system.
    ///
    /// - Parameter permissions: The permissions of the file, restricted by the process's mask.
    /// - Throws: ``AtomicFileError``, for example if the folder is missing or not writable.
    /// - Complexity: Reads the folder's list of names, to find temporary files of this path that a crash left.
    public init(replacing path: String, permissions: UInt32 = 0o666) throws {
        Leftovers(of: path).remove()
        while true {
            let temporary = Leftovers(of: path).newPath()
            let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, permissions)
            guard descriptor >= 0 else { throw AtomicFileError(path: path, code: errno) }
            if Leftovers.claim(descriptor) {
                self.init(replacing: path, temporaryPath: temporary, descriptor: descriptor)
                return
            }
            close(descriptor)
        }
    }

    /// Takes ownership of an open descriptor.
    init(replacing path: String, temporaryPath: String, descriptor: Int32) {
        self.path = path
        self.temporaryPath = temporaryPath
        self.descriptor = descriptor
    }

    deinit {
        guard let descriptor else { return }
        unlink(temporaryPath)
        close(descriptor)
    }

    /// Writes the bytes after those written before.
    ///
    /// - Throws: ``AtomicFileError``.
    public mutating func append(_ bytes: RawSpan) throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        try FileSystem.write(bytes, to: descriptor, of: path)
    }

    /// Syncs the file, renames it to its path and syncs the folder.
    ///
    /// - Throws: ``AtomicFileError``. The old file, if any, is then still at the path.
    public mutating func commit() throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        try FileSystem.sync(descriptor, of: path)
        guard rename(temporaryPath, path) == 0 else { throw AtomicFileError(path: path, code: errno) }
        self.descriptor = nil
        // The file stays open, and so locked, until here. The file system has already reported all errors to fsync.
        close(descriptor)
        // The rename changes the folder, not the file.
        try FileSystem.syncFolder(of: path)
    }

    /// Writes a whole file, or keeps the old one.
    ///
    /// - Throws: ``AtomicFileError``.
    public static func write(_ data: Data, to path: String, permissions: UInt32 = 0o666) throws {
        var file = try AtomicFile(replacing: path, permissions: permissions)
        try file.append(data.bytes)
        try file.commit()
    }

    /// Removes a file, if it exists, and its temporary files that crashes left.
    ///
    /// The removal is not synced: after a power failure the file can exist again.
    public static func remove(_ path: String) {
        unlink(path)
        removeLeftovers(of: path)
    }

    /// Removes temporary files that crashes left, to free their space before the file is next written.
    public static func removeLeftovers(of path: String) {
        Leftovers(of: path).remove()
    }
}

/// Why a file or a folder could not be written. The old one at the path is unchanged.
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

    /// The same error about another path: the one that a person knows, not a temporary one.
    public func naming(_ path: String) -> AtomicFileError {
        switch self {
        case .diskFull: .diskFull(path: path)
        case .missingFolder: .missingFolder(path: path)
        case .cannotWrite(_, let reason): .cannotWrite(path: path, reason: reason)
        }
    }
}

extension AtomicFileError: CustomStringConvertible, LocalizedError {
    public var description: String {
        switch self {
        case .diskFull(let path):
            "\(path): the disk is full, or the quota is used up. Nothing was changed: free some space and try again."
        case .missingFolder(let path):
            "\(path): cannot be written, because its folder does not exist. Create the folder, or name another."
        case .cannotWrite(let path, let reason):
            "\(path): cannot be written (\(reason)). Check the path and its permissions."
        }
    }

    public var errorDescription: String? { description }
}

/// The name and version that the program records in files.
public enum WritingProgram {
    public static let name = "tributary"
    /// The version of the program: of its command line, its service and its files.
    public static let version = "1.0.0"
    /// Name and version, as files record them.
    public static let signature = "\(name) \(version)"
}
