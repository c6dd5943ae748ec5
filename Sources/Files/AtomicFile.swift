import Foundation
import Glibc

/// A file that appears at its place only when it is whole.
///
/// The bytes go to a file beside the place, which ``commit()`` syncs and renames: after a crash there is the old file or
/// the new one. What was written without a commit is removed, at once or, after a crash, when the file is next written.
public struct AtomicFile: ~Copyable {
    private let path: String
    private let temporaryPath: String
    private var descriptor: Int32?

    /// Opens a file beside `path`, in the same folder and so on the same file system.
    ///
    /// - Parameter permissions: Those of a new file, less what the process's mask takes away.
    /// - Throws: ``AtomicFileError``, also where the folder is missing or not writable.
    /// - Complexity: Reads the folder's list of names, to find what a crash left of this file.
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

    /// Takes over an open descriptor, to be written, synced and closed here.
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

    /// Writes all of the bytes after those written before.
    ///
    /// - Throws: ``AtomicFileError/diskFull(path:)`` or another ``AtomicFileError``.
    public mutating func append(_ bytes: RawSpan) throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        try FileSystem.write(bytes, to: descriptor, of: path)
    }

    /// Syncs the file, renames it into its place and syncs the folder.
    ///
    /// - Throws: ``AtomicFileError``; the file that was at the place before is then still there.
    public mutating func commit() throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        try FileSystem.sync(descriptor, of: path)
        guard rename(temporaryPath, path) == 0 else { throw AtomicFileError(path: path, code: errno) }
        self.descriptor = nil
        // Open until now, and with that claimed. What a file system could still report here, it has reported to fsync.
        close(descriptor)
        // The rename is a change of the folder, not of the file.
        try FileSystem.syncFolder(of: path)
    }

    /// Writes a whole file, or leaves what was there.
    ///
    /// - Throws: ``AtomicFileError``.
    public static func write(_ data: Data, to path: String, permissions: UInt32 = 0o666) throws {
        var file = try AtomicFile(replacing: path, permissions: permissions)
        try file.append(data.bytes)
        try file.commit()
    }

    /// Removes a file, if it is there, and whatever crashes left of it.
    ///
    /// The removal is not synced: after a power failure the file may be there again.
    public static func remove(_ path: String) {
        unlink(path)
        removeLeftovers(of: path)
    }

    /// Removes whatever crashes left of a file, to have the space before it is next written.
    public static func removeLeftovers(of path: String) {
        Leftovers(of: path).remove()
    }
}
