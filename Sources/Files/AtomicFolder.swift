import Foundation
import Glibc

/// A folder that appears at its path only when all of it is complete.
///
/// Its files are written into a temporary folder beside the path. ``commit()`` syncs them all and exchanges the two folders in one step
/// (renameat2(2)): after a crash, the path has the complete old folder or the complete new one. On a file system that cannot exchange
/// folders, the old one is renamed away before the new one is renamed to the path; ``recover(_:isWhole:)`` finds both after a crash in
/// between.
public struct AtomicFolder: ~Copyable {
    private static let oldSuffix = ".old"

    private let path: String
    /// The path of the temporary folder, to write files into.
    public let contents: String
    private var descriptor: Int32?

    /// Makes an empty temporary folder beside `path`, and missing folders above it.
    ///
    /// Folders that crashes left are recovered (``recover(_:isWhole:)``) or removed.
    ///
    /// - Throws: ``AtomicFileError``.
    public init(replacing path: String) throws {
        try FileSystem.makeFolder(at: FileSystem.folder(of: path))
        Self.recover(path)
        while true {
            let contents = Leftovers(of: path).newPath()
            guard mkdir(contents, 0o777) == 0 else { throw AtomicFileError(path: path, code: errno) }
            let descriptor = open(contents, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            // Another process may have removed it as a leftover before it was claimed.
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

    /// Syncs every file, moves the folder to its path, and then removes the old folder.
    ///
    /// - Throws: ``AtomicFileError``, also if there is a file at the path. The old folder, if any, is then still at the path.
    public mutating func commit() throws {
        try commit(exchanging: FileSystem.exchange)
    }

    /// - Parameter exchange: Exchanges the folders at two paths, and returns the error's code.
    mutating func commit(exchanging exchange: (String, String) -> Int32) throws {
        guard let descriptor else { throw AtomicFileError(path: path, code: EBADF) }
        try syncContents()
        let old = try moveIntoPlace(exchange)
        self.descriptor = nil
        defer { close(descriptor) }
        try FileSystem.syncFolder(of: path)
        // The old folder is removed only now: until the parent folder is synced, a power failure can bring it back.
        if let old { try? FileManager.default.removeItem(atPath: old) }
    }

    /// Removes a folder, if it exists, and its temporary folders that crashes left.
    ///
    /// The removal is not synced: after a power failure some of it can exist again.
    public static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
        Leftovers(of: path).remove()
    }

    /// Syncs all files and their names, so that they survive a power failure.
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

    /// - Returns: The path to which the old folder was moved; nil if there was none.
    private func moveIntoPlace(_ exchange: (String, String) -> Int32) throws -> String? {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            guard errno == ENOENT, rename(contents, path) == 0 else { throw AtomicFileError(path: path, code: errno) }
            return nil
        }
        guard [S_IFDIR, S_IFLNK].contains(status.st_mode & S_IFMT) else {
            throw AtomicFileError.cannotWrite(path: path, reason: "it is a file, not a folder")
        }
        switch exchange(contents, path) {
        case 0: return contents
        case EINVAL, ENOSYS, EOPNOTSUPP: return try stepAside()
        case let code: throw AtomicFileError(path: path, code: code)
        }
    }

    /// Replaces the folder by two renames, between which the path has no folder.
    private func stepAside() throws -> String {
        let old = contents + Self.oldSuffix
        // The old folder is claimed, so that no process removes it as a leftover meanwhile. A link cannot be claimed.
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

    /// Restores the folder if a crash happened between the two renames of a commit, and removes other temporary folders that crashes left.
    ///
    /// The old folder is renamed away only when the new one is complete, so the new one is preferred.
    ///
    /// - Parameter isWhole: Returns whether a folder is complete. Only a complete folder is restored.
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
            // None is complete: keep them, as a person may still need them.
            if !found.isEmpty, lstat(path, &status) != 0 { return }
        }
        leftovers.remove()
    }
}

/// Files of one folder that belong together, such as a model's weights and its configuration, and are replaced as one.
///
/// They are written into a temporary folder inside that folder, and moved out of it when all of them are complete. One file is the *mark*,
/// without which readers do not accept the folder: the old mark is removed first, and the new one moved last. A crash thus leaves the old
/// files, the new ones, or, between the renames, no mark; readers never accept a mixture. Other files in the folder do not change.
public struct AtomicFileSet: ~Copyable {
    private let folder: String
    private let mark: String
    private let staging: AtomicFolder

    /// The path of the temporary folder, to write the files into.
    public var contents: String { staging.contents }

    /// Makes the temporary folder, and the folder itself if it is missing.
    ///
    /// - Parameter mark: The name of the mark.
    /// - Throws: ``AtomicFileError``.
    public init(in folder: String, mark: String) throws {
        self.folder = folder
        self.mark = mark
        staging = try AtomicFolder(replacing: "\(folder)/\(mark)")
    }

    /// Syncs the files and moves them into the folder. The mark must be among them.
    ///
    /// - Throws: ``AtomicFileError``. If the disk is full, nothing has changed.
    public consuming func commit() throws {
        try staging.syncContents()
        let names = try names().filter { $0 != mark }.sorted()
        let markPath = "\(folder)/\(mark)"
        guard unlink(markPath) == 0 || errno == ENOENT else { throw AtomicFileError(path: markPath, code: errno) }
        try FileSystem.syncFolder(at: folder, of: folder)
        try move(names)
        try move([mark])
    }

    private borrowing func names() throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: contents)
        } catch {
            throw AtomicFileError.cannotWrite(path: folder, reason: error.localizedDescription)
        }
    }

    private borrowing func move(_ names: [String]) throws {
        for name in names {
            let path = "\(folder)/\(name)"
            guard rename("\(contents)/\(name)", path) == 0 else { throw AtomicFileError(path: path, code: errno) }
        }
        try FileSystem.syncFolder(at: folder, of: folder)
    }
}
