import Foundation
import Glibc

/// What is beside a place on the way to it: files and folders that are being written, and those that a crash left so.
///
/// They are named `.NAME.writing-UUID`. The writer has its own locked (flock(2)), and the lock ends with the process: what is
/// not locked is left over. Where a file system has no locks, nothing is ever taken to be left over.
struct Leftovers {
    private let folder: URL
    /// What the names start with. All of the place's name could be too long for the file system.
    private let prefix: String

    init(of path: String) {
        let place = URL(fileURLWithPath: path)
        folder = place.deletingLastPathComponent()
        prefix = ".\(String(decoding: place.lastPathComponent.utf8.prefix(100), as: UTF8.self))."
    }

    /// A path that nothing is at.
    func newPath() -> String {
        folder.appendingPathComponent("\(prefix)writing-\(UUID().uuidString)").path
    }

    /// Locks what was just made under such a path.
    ///
    /// - Returns: Whether it is still there: another process may have taken it for a leftover before it was locked.
    static func claim(_ descriptor: Int32) -> Bool {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return errno != EWOULDBLOCK }
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_nlink > 0
    }

    /// The paths of all that is there, written or left over.
    var paths: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.filter(isOurs).sorted().map { folder.appendingPathComponent($0).path }
    }

    /// Also names of earlier versions: `.NAME.writing-PROCESS`, `.NAME.UUID.partial`.
    private func isOurs(_ name: String) -> Bool {
        guard name.utf8.starts(with: prefix.utf8) else { return false }
        var rest = name.utf8.dropFirst(prefix.utf8.count).split(separator: UInt8(ascii: "."))
            .map { String(decoding: $0, as: UTF8.self) }
        if rest.count == 2, rest[1] == "partial" { return UUID(uuidString: rest[0]) != nil }
        if rest.count == 2, rest[1] == "old" { rest.removeLast() }
        guard rest.count == 1, rest[0].hasPrefix("writing-") else { return false }
        let mark = rest[0].dropFirst("writing-".count)
        return UUID(uuidString: String(mark)) != nil || UInt32(mark) != nil
    }

    /// Removes what is left over.
    func remove() {
        for path in paths { Self.withLock(on: path) { try? FileManager.default.removeItem(atPath: path) } }
    }

    /// Does something while nobody else writes or removes what is at a path; nothing if somebody does.
    ///
    /// - Returns: Whether it was done.
    @discardableResult
    static func withLock(on path: String, _ body: () -> Void) -> Bool {
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
        body()
        return true
    }
}
