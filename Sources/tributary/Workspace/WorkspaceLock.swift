import Foundation

/// Reserves a workspace folder for one process.
///
/// The lock is the kernel's (flock(2) on `workspace.lock`, which contains the owner's process id for people and errors), so it ends with
/// the process however that ends. The file stays: if it were removed, two processes could lock two files of one name. The lock does not
/// work for folders that several machines share over NFS.
final class WorkspaceLock: Sendable {
    static let fileName = "workspace.lock"

    /// Open and locked for as long as this lives.
    private let handle: FileHandle

    /// Locks a folder, which must exist.
    init(folder: URL) throws(WorkspaceLockError) {
        let path = folder.appending(path: Self.fileName).path
        // Close on exec: a child process must not keep the lock.
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw .cannotLock(folder: folder.path, reason: String(cString: strerror(errno)))
        }
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status: Int32
        repeat { status = flock(descriptor, LOCK_EX | LOCK_NB) } while status != 0 && errno == EINTR
        guard status == 0 else {
            let error = errno
            guard error == EWOULDBLOCK else {
                throw .cannotLock(folder: folder.path, reason: String(cString: strerror(error)))
            }
            throw .inUse(folder: folder.path, process: Self.owner(in: path))
        }
        // The process id is only a help for people: a full disk must not prevent the use of the workspace.
        try? handle.write(contentsOf: Data("\(ProcessInfo.processInfo.processIdentifier)\n".utf8))
        try? handle.truncate(atOffset: handle.offset())
    }

    private static func owner(in path: String) -> Int32? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        return Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}

enum WorkspaceLockError: Error, Equatable, CustomStringConvertible {
    /// Another process uses it; its id, if the file has one.
    case inUse(folder: String, process: Int32?)
    case cannotLock(folder: String, reason: String)

    var description: String {
        switch self {
        case .inUse(let folder, let process):
            "\(folder): in use by \(process.map { "process \($0)" } ?? "another process"): stop it, or give another workspace"
        case .cannotLock(let folder, let reason):
            "\(folder): the workspace cannot be locked: \(reason)"
        }
    }
}
