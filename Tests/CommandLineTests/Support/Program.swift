import Foundation
import Glibc
import Synchronization
import TestScratch
import Testing

typealias TemporaryFolder = TestScratch.TemporaryFolder

/// The built program, run as a user runs it.
///
/// Foundation's `Process` is not used: it reads past the end of a directory's entry, and crashes now and then where tests have more than
/// a thousand descriptors open.
final class Program: Sendable {
    /// How a run ended.
    struct Outcome {
        let status: Int32
        let output: String
        let error: String

        /// The lines of standard error.
        var errorLines: [Substring] { error.split(separator: "\n") }
    }

    /// Beside the tests, where both are built.
    private static let file = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "tributary")

    let processIdentifier: Int32
    private let ending = Ending()
    private let streams: TemporaryFolder
    private let end: AsyncStream<Void>

    private final class Ending: Sendable {
        /// Guards the exit status; `nil` while the program runs.
        let status = Mutex<Int32?>(nil)
    }

    /// Runs the program to its end.
    ///
    /// - Parameters:
    ///   - folder: Stands for the user's data folder.
    ///   - input: What it reads from standard input.
    static func run(
        _ arguments: [String], in folder: TemporaryFolder, input: String = "", environment: [String: String] = [:]
    ) async throws -> Outcome {
        try await Program(arguments, in: folder, input: input, environment: environment).outcome()
    }

    /// Runs OpenSSL's own program to its end.
    static func openssl(_ arguments: String..., in folder: TemporaryFolder) async throws -> Outcome {
        try await Program(arguments, of: URL(fileURLWithPath: "/usr/bin/openssl"), in: folder).outcome()
    }

    /// Starts the program, or another one.
    init(
        _ arguments: [String], of file: URL = Program.file, in folder: TemporaryFolder, input: String = "",
        environment: [String: String] = [:]
    ) throws {
        streams = try TemporaryFolder()
        let (end, continuation) = AsyncStream.makeStream(of: Void.self)
        self.end = end
        let all = ["XDG_DATA_HOME": folder.path("data"), "PATH": "/usr/bin:/bin"].merging(environment) { $1 }
        let files = [
            (try streams.write(input, to: "input"), O_RDONLY), (try streams.write("", to: "output"), O_WRONLY),
            (try streams.write("", to: "error"), O_WRONLY),
        ]
        let identifier = try Self.spawn([file.path] + arguments, all.map { "\($0)=\($1)" }, files)
        processIdentifier = identifier
        Thread.detachNewThread { [ending] in
            var code: Int32 = 0
            while waitpid(identifier, &code, 0) == -1, errno == EINTR {}
            // A process that a signal ended has its number, as in a shell.
            let signal = code & 0x7f
            ending.status.withLock { [code] in $0 = signal == 0 ? (code >> 8) & 0xff : 128 + signal }
            continuation.finish()
        }
    }

    /// - Parameter files: What standard input, output and error are.
    private static func spawn(
        _ arguments: [String], _ environment: [String], _ files: [(path: String, flags: Int32)]
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, file) in files.enumerated() {
            posix_spawn_file_actions_addopen(&actions, Int32(descriptor), file.path, file.flags, 0)
        }
        try closeOthers(from: Int32(files.count), in: &actions)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own: what ends the tests' group does not end it half-way.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        let words = arguments.map { strdup($0) }
        let variables = environment.map { strdup($0) }
        defer { for text in words + variables { free(text) } }
        var identifier = pid_t()
        let code = posix_spawn(&identifier, arguments[0], &actions, &attributes, words + [nil], variables + [nil])
        try #require(code == 0, "\(arguments[0]) cannot be started: \(String(cString: strerror(code)))")
        return identifier
    }

    /// Has the program inherit no descriptors from here on: the sockets of other tests would not close.
    private static func closeOthers(from first: Int32, in actions: inout posix_spawn_file_actions_t) throws {
        // The header hides it from Swift.
        typealias Function = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        let symbol = try #require(dlsym(nil, "posix_spawn_file_actions_addclosefrom_np"))
        try #require(unsafeBitCast(symbol, to: Function.self)(&actions, first) == 0)
    }

    deinit { if isRunning { kill(processIdentifier, SIGKILL) } }

    var isRunning: Bool { ending.status.withLock { $0 == nil } }

    /// What it has written to standard error so far.
    var errorSoFar: String { text("error") }

    func send(_ signal: Int32) { if isRunning { kill(processIdentifier, signal) } }

    /// Sends a signal as soon as a text is on standard error, from a thread of its own: tests that compute may hold all others.
    func send(_ signal: Int32, onError text: String) {
        Thread.detachNewThread { [self] in
            while isRunning {
                if errorSoFar.contains(text) { return send(signal) }
                Thread.sleep(forTimeInterval: 0.005)
            }
        }
    }

    /// Waits until it has ended.
    func outcome() async throws -> Outcome {
        for await _ in end {}
        let status = try #require(ending.status.withLock { $0 })
        return Outcome(status: status, output: text("output"), error: text("error"))
    }

    /// Waits until it has written a text to standard error.
    func wait(forError text: String) async throws {
        while !errorSoFar.contains(text) {
            try #require(isRunning, "ended before \"\(text)\": \(errorSoFar)")
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private func text(_ stream: String) -> String {
        (try? String(contentsOfFile: streams.path(stream), encoding: .utf8)) ?? ""
    }
}
