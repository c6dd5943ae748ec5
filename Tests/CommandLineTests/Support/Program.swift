import Foundation
import Testing

/// The built program, run as a user runs it.
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

    private let process = Process()
    private let streams: TemporaryFolder
    private let end: AsyncStream<Void>

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
        process.executableURL = file
        process.arguments = arguments
        process.environment = ["XDG_DATA_HOME": folder.path("data"), "PATH": "/usr/bin:/bin"]
            .merging(environment) { $1 }
        process.standardInput = try FileHandle(
            forReadingFrom: URL(fileURLWithPath: try streams.write(input, to: "input")))
        process.standardOutput = try FileHandle(
            forWritingTo: URL(fileURLWithPath: try streams.write("", to: "output")))
        process.standardError = try FileHandle(
            forWritingTo: URL(fileURLWithPath: try streams.write("", to: "error")))
        process.terminationHandler = { _ in continuation.finish() }
        try process.run()
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    var processIdentifier: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// What it has written to standard error so far.
    var errorSoFar: String { text("error") }

    func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

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
        process.waitUntilExit()
        // A process that a signal ended has its number, as in a shell.
        let status =
            process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
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
