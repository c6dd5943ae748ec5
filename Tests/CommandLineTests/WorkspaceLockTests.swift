import Foundation
import Testing

@testable import tributary

@Suite("The workspace's lock", .timeLimit(.minutes(30)))
struct WorkspaceLockTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("is refused with the owner's process id while the workspace is in use, and free afterwards")
    func sameProcess() throws {
        let pid = ProcessInfo.processInfo.processIdentifier
        do {
            let lock = try WorkspaceLock(folder: folder.url)
            #expect(throws: WorkspaceLockError.inUse(folder: folder.url.path, process: pid)) {
                try WorkspaceLock(folder: folder.url)
            }
            withExtendedLifetime(lock) {}
        }
        _ = try WorkspaceLock(folder: folder.url)
    }

    @Test("is kept between processes, and ends with a process that is killed")
    func otherProcess() async throws {
        let path = folder.url.appending(path: WorkspaceLock.fileName).path
        // The shell reports when it has the lock, and keeps it until it is killed.
        let script = "echo $$ > '\(path)'; echo locked >&2; exec sleep 1000"
        let holder = try Program(
            [path, "/bin/sh", "-c", script], of: URL(filePath: "/usr/bin/flock"), in: folder)
        try await holder.wait(forError: "locked")
        let owner = try #require(
            Int32(try String(contentsOfFile: path, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))

        let error = #expect(throws: WorkspaceLockError.self) { try WorkspaceLock(folder: folder.url) }
        #expect(error == .inUse(folder: folder.url.path, process: owner))
        #expect(error?.description.contains("in use by process \(owner)") == true)

        kill(owner, SIGKILL)
        holder.send(SIGKILL)
        _ = try await holder.outcome()
        _ = try WorkspaceLock(folder: folder.url)
    }

    @Test("names a folder that does not exist")
    func missingFolder() {
        let missing = folder.url.appending(path: "missing")
        let error = #expect(throws: WorkspaceLockError.self) { try WorkspaceLock(folder: missing) }
        #expect(error?.description.hasPrefix("\(missing.path): the workspace cannot be locked: ") == true)
    }
}
