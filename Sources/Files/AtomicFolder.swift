import Foundation
import Glibc

/// A folder that appears at its place only when all of it is whole.
///
/// Its files are written into a folder beside the place. ``commit()`` syncs them all and exchanges the two folders in one step
/// (renameat2(2)): after a crash there is the old folder or the new one, whole. A file system that cannot exchange has the old
/// folder step aside and the new one take its place; ``recover(_:isWhole:)`` finds them after a crash in between.
public struct AtomicFolder: ~Copyable {
    private static let oldSuffix = ".old"

    private let path: String
    /// The folder beside the place, to write files into.
    public let contents: String
    private var descriptor: Int32?

    /// Makes an empty folder beside `path`, and the folders above it where they are missing.
    ///
    /// What crashes left of earlier ones is removed, after ``recover(_:isWhole:)``.
    ///
    /// - Throws: ``AtomicFileError``.
    public init(replacing path: String) throws {
        try FileSystem.makeFolder(at: FileSystem.folder(of: path))
        Self.recover(path)
        while true {
            let contents = Leftovers(of: path).newPath()
            guard mkdir(contents, 0o777) == 0 else { throw AtomicFileError(path: path, code: errno) }
            let descriptor = open(contents, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            // Another process may have taken it for a leftover before it was claimed.
            if descriptor < 0, errno == ENOENT { continue }
            guard descriptor >= 0 else {
                let code = errno
                rmdir(contents)
                throw AtomicFileError(path: path, code: code)
            }
            if Leftovers.claim(descriptor) {
                self.path = path
                self.contents = contents
                self.descriptor = descriptor
                return
            }
            close(descriptor)
        }
    }

    deinit {
        guard let descriptor else { return }
        try? FileManager.default.removeItem(atPath: contents)
        close(descriptor)
    }

    /// Syncs every file, puts the folder into its place, and then removes what was there.
    ///
    /// - Throws: ``AtomicFileError``; what was at the place before is then still there. A file at the place is refused.
    public mutating func commit() throws {
        try commit(exchanging: FileSystem.exchange)
    }

    /// - Parameter exchange: Exchanges what is at two paths, and gives the error's code.
    mutating func commit(exchanging exchange: (String, String) -> Int32) throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        try syncContents()
        let old = try moveIntoPlace(exchange)
        self.descriptor = nil
        defer { close(descriptor) }
        try FileSystem.syncFolder(of: path)
        // Only now: until the folder is synced, a power failure brings the old one back.
        if let old { try? FileManager.default.removeItem(atPath: old) }
    }

    /// Removes a folder, if it is there, and whatever crashes left of it.
    ///
    /// The removal is not synced: after a power failure some of it may be there again.
    public static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
        Leftovers(of: path).remove()
    }

    /// Makes all files, and their names, outlast a power failure.
    func syncContents() throws {
        let names: [String]
        do {
            names = try FileManager.default.subpathsOfDirectory(atPath: contents)
        } catch {
            throw AtomicFileError.cannotWrite(path: path, reason: error.localizedDescription)
        }
        for item in [contents] + names.map({ "\(contents)/\($0)" }) {
            let descriptor = open(item, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
            guard descriptor >= 0 else { throw AtomicFileError(path: path, code: errno) }
            defer { close(descriptor) }
            try FileSystem.sync(descriptor, of: path)
        }
    }

    /// - Returns: Where that is now which was at the place; nil if nothing was.
    private func moveIntoPlace(_ exchange: (String, String) -> Int32) throws -> String? {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            guard errno == ENOENT, rename(contents, path) == 0 else { throw AtomicFileError(path: path, code: errno) }
            return nil
        }
        guard [S_IFDIR, S_IFLNK].contains(status.st_mode & S_IFMT) else {
            throw AtomicFileError.cannotWrite(path: path, reason: "a file is there, and no folder")
        }
        switch exchange(contents, path) {
        case 0: return contents
        case EINVAL, ENOSYS, EOPNOTSUPP: return try stepAside()
        case let code: throw AtomicFileError(path: path, code: code)
        }
    }

    /// Two renames, between which nothing is at the place.
    private func stepAside() throws -> String {
        let old = contents + Self.oldSuffix
        // Claimed, so that nobody takes it for a leftover meanwhile; not where it is a link.
        let claim = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        defer { if claim >= 0 { close(claim) } }
        if claim >= 0 { _ = Leftovers.claim(claim) }
        guard rename(path, old) == 0 else { throw AtomicFileError(path: path, code: errno) }
        guard rename(contents, path) == 0 else {
            let code = errno
            rename(old, path)
            throw AtomicFileError(path: path, code: code)
        }
        return old
    }

    /// Puts the folder back that a crash between two renames left beside its place, and removes what crashes left otherwise.
    ///
    /// The old folder steps aside only when the new one is whole, so that the new one is taken if it is there.
    ///
    /// - Parameter isWhole: Whether a folder has all it must have. Only such a one is taken.
    public static func recover(_ path: String, isWhole: (_ folder: String) -> Bool = { _ in true }) {
        let leftovers = Leftovers(of: path)
        var status = stat()
        if lstat(path, &status) != 0, errno == ENOENT {
            let found = leftovers.paths.filter { $0.hasSuffix(oldSuffix) }.flatMap { old in
                [String(old.dropLast(oldSuffix.count)), old]
            }
            for folder in found where FileSystem.isFolder(folder) && isWhole(folder) {
                var isMoved = false
                Leftovers.withLock(on: folder) { isMoved = rename(folder, path) == 0 }
                guard isMoved else { continue }
                try? FileSystem.syncFolder(of: path)
                break
            }
            // Without one that is whole, what there is may still be of use to somebody.
            if !found.isEmpty, lstat(path, &status) != 0 { return }
        }
        leftovers.remove()
    }
}
