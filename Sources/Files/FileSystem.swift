import CLinux
import Foundation
import Glibc

/// The system calls behind files that must survive a crash, with errors that name the file.
public enum FileSystem {
    /// Makes a folder and missing folders above it, and syncs them. An existing folder does not change.
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

    /// Checks that a file can replace the one at a path and leave `needed` bytes free on the disk.
    ///
    /// - Returns: The available bytes, including those of the replaced file, if they are too few; nil if they suffice, or the file system
    ///   does not say.
    public static func shortage(of bytes: Int, at path: String, leaving needed: Int) -> Int? {
        guard let free = freeBytes(beside: path) else { return nil }
        let available = free + (length(of: path) ?? 0)
        return available - bytes < needed ? available : nil
    }

    /// The free bytes for a file at a path; nil if the file system does not say, or the folder is missing.
    static func freeBytes(beside path: String) -> Int? {
        var status = statvfs()
        guard statvfs(folder(of: path), &status) == 0 else { return nil }
        let (bytes, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(
            by: Int(clamping: status.f_frsize))
        return overflow ? .max : bytes
    }

    /// The files and folders that match a shell's pattern, in the order of their names. Hidden ones match only a pattern that names the dot.
    public static func paths(matching pattern: String) -> [String] {
        var matches = glob_t()
        defer { globfree(&matches) }
        guard glob(pattern, 0, nil, &matches) == 0, let paths = matches.gl_pathv else { return [] }
        return (0..<Int(matches.gl_pathc)).compactMap { paths[$0].map { String(cString: $0) } }
    }

    /// Where a resource of the package can be: in its module's resource folder beside the program, or in `../share/tributary` of an
    /// installation.
    public static func resourceLocations(of path: String, in folder: String) -> [URL] {
        let beside = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        return [folder, "../share/tributary/\(folder)"].map {
            beside.appending(path: $0).standardized.appending(path: path)
        }
    }

    /// The length of a file; nil if it does not exist.
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

    /// Exchanges the files or folders at two paths.
    ///
    /// - Returns: 0, or the error's code.
    static func exchange(_ path: String, _ other: String) -> Int32 {
        tributary_exchange(path, other) == 0 ? 0 : errno
    }

    /// Writes all bytes at the descriptor's position.
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

    /// Returns when the device has the written bytes.
    static func sync(_ descriptor: Int32, of path: String) throws {
        while fsync(descriptor) != 0 {
            guard errno == EINTR else { throw AtomicFileError(path: path, code: errno) }
        }
    }

    /// Syncs the folder of a path, so that new names in it survive a power failure.
    static func syncFolder(of path: String) throws {
        try syncFolder(at: folder(of: path), of: path)
    }

    /// Syncs a folder, so that new names in it survive a power failure.
    ///
    /// - Parameter path: The path that an error names.
    static func syncFolder(at folder: String, of path: String) throws {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw AtomicFileError(path: path, code: errno) }
        defer { close(descriptor) }
        // EINVAL: the file system cannot sync folders.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw AtomicFileError(path: path, code: errno) }
    }
}

/// The temporary files and folders beside a path: those being written, and leftovers of crashes.
///
/// They are named `.NAME.writing-UUID`. A writer locks its own (flock(2)), and the lock ends with the process: one without a lock is a
/// leftover. On a file system without locks, none is treated as a leftover.
struct Leftovers {
    private let folder: URL
    /// The start of the names. The whole name of the path could be too long for the file system.
    private let prefix: String

    init(of path: String) {
        let url = URL(fileURLWithPath: path)
        folder = url.deletingLastPathComponent()
        prefix = ".\(String(decoding: url.lastPathComponent.utf8.prefix(100), as: UTF8.self))."
    }

    /// An unused temporary path.
    func newPath() -> String {
        folder.appendingPathComponent("\(prefix)writing-\(UUID().uuidString)").path
    }

    /// Locks a file or folder that was just made at a temporary path.
    ///
    /// - Returns: Whether it still exists: another process may have removed it as a leftover before it was locked.
    static func claim(_ descriptor: Int32) -> Bool {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return errno != EWOULDBLOCK }
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink > 0
    }

    /// The paths of all temporary files and folders, leftovers or not.
    var paths: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter(isOurs).sorted().map { folder.appendingPathComponent($0).path }
    }

    /// Also accepts names of earlier versions: `.NAME.writing-PROCESS`, `.NAME.UUID.partial`.
    private func isOurs(_ name: String) -> Bool {
        guard name.utf8.starts(with: prefix.utf8) else { return false }
        var parts = name.utf8.dropFirst(prefix.utf8.count).split(separator: UInt8(ascii: "."))
            .map { String(decoding: $0, as: UTF8.self) }
        if parts.count == 2, parts[1] == "partial" { return UUID(uuidString: parts[0]) != nil }
        if parts.count == 2, parts[1] == "old" { parts.removeLast() }
        guard parts.count == 1, parts[0].hasPrefix("writing-") else { return false }
        let mark = parts[0].dropFirst("writing-".count)
        return UUID(uuidString: String(mark)) != nil || UInt32(mark) != nil
    }

    /// Removes the leftovers.
    func remove() {
        for path in paths { Self.withLock(on: path) { try? FileManager.default.removeItem(atPath: path) } }
    }

    /// Runs the body with the lock on a path, or not at all if another process holds the lock.
    static func withLock(on path: String, _ body: () -> Void) {
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return }
        body()
    }
}
