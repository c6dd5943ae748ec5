import Foundation
import Glibc

/// Files of one folder that belong together, such as a model's weights and its configuration, and are replaced as one.
///
/// They are written into a folder within, and moved out of it when all of them are whole. One of them is the *mark*, without which
/// nobody takes the folder for what it is: the old one goes first, and the new one comes last. So a crash leaves the old files, the
/// new ones, or, between the few renames, no mark; never files of both. Other files in the folder stay as they are.
public struct AtomicFileSet: ~Copyable {
    private let folder: String
    private let mark: String
    private let staging: AtomicFolder

    /// The folder within, to write the files into.
    public var contents: String { staging.contents }

    /// Makes the folder within, and the folder itself where it is missing.
    ///
    /// - Parameter mark: The name of a file.
    /// - Throws: ``AtomicFileError``.
    public init(in folder: String, mark: String) throws {
        self.folder = folder
        self.mark = mark
        staging = try AtomicFolder(replacing: "\(folder)/\(mark)")
    }

    /// Syncs the files and moves them into the folder. The mark must be among them.
    ///
    /// - Throws: ``AtomicFileError``. If the disk is full, nothing has been changed.
    public consuming func commit() throws {
        try staging.syncContents()
        let names = try names().filter { $0 != mark }.sorted()
        let place = "\(folder)/\(mark)"
        guard unlink(place) == 0 || errno == ENOENT else { throw AtomicFileError(path: place, code: errno) }
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
            let place = "\(folder)/\(name)"
            guard rename("\(contents)/\(name)", place) == 0 else { throw AtomicFileError(path: place, code: errno) }
        }
        try FileSystem.syncFolder(at: folder, of: folder)
    }
}
