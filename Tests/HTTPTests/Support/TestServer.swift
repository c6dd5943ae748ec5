import Foundation
import HTTPTypes
import Logging
import Testing

@testable import HTTP

/// Runs tasks on threads of their own, so that a test's blocking calls do not occupy the few threads that handlers need.
final class BlockingExecutor: TaskExecutor {
    static let shared = BlockingExecutor()

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        Thread.detachNewThread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Keeps log lines as `message key=value key=value `, keys in order.
struct RecordingLogHandler: LogHandler {
    let lines: Recorder<String>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let pairs = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value) " }
        lines.append("\(event.message) \(pairs.joined())")
    }
}

extension Logger {
    static var silent: Logger {
        Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    }
}

extension HTTPServerConfiguration {
    /// Any free port, two threads, and timeouts that are long enough for a very busy machine, with changes.
    static func with(_ change: (inout HTTPServerConfiguration) -> Void) -> HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration(port: 0)
        configuration.threads = 2
        configuration.hostNames = ["a"].compactMap { HostName($0) }
        for timeout in [\Timeouts.header, \.body, \.idle, \.write, \.probe] {
            configuration.timeouts[keyPath: timeout] = .seconds(120)
        }
        change(&configuration)
        return configuration
    }
}

/// Starts a server, runs the test's body on a thread where it can block, and shuts the server down.
///
/// Handlers have threads of their own, too, because other suites compute for long on the threads of Swift's pool.
func withServer(
    _ routes: [Route] = .standard, configuration: HTTPServerConfiguration = .with { _ in },
    observers: [any ConnectionObserving] = [], _ body: @Sendable (UInt16, HTTPServer) async throws -> Void
) async throws {
    let executor = BlockingExecutor.shared
    try await withTaskExecutorPreference(executor) {
        let router = try Router(routes: routes, logger: .silent)
        let server = HTTPServer(
            configuration: configuration, logger: .silent, observers: observers, executor: executor, router: router)
        let port = try #require(try await server.start().first).port
        do {
            try await body(port, server)
        } catch {
            await server.shutdown(grace: .zero)
            throw error
        }
        await server.shutdown(grace: .seconds(30))
    }
}

func get(_ path: String, _ fields: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"
}

func post(_ path: String, _ body: String, _ fields: String = "") -> String {
    "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)"
}

extension Route {
    /// Answers once a gate is open.
    static func waiting(_ method: HTTPRequest.Method = .get, at gate: Gate) -> Route {
        Route(method, "/wait", summary: "Waits") { _ in
            await gate.wait()
            return .text("waited")
        }
    }
}

extension [Route] {
    /// The routes that most tests need: a constant, an echo, a parameter, and a stream.
    static var standard: [Route] {
        [
            Route(.get, "/hello", summary: "Greets") { _ in .text("hello") },
            Route(.post, "/echo", summary: "Returns the body") { .text(String(decoding: $0.body, as: UTF8.self)) },
            Route(.get, "/items/{id}", summary: "Returns the parameter") { .text(try $0.parameter("id")) },
            Route(.get, "/stream/{count}", summary: "Counts, in pieces") { request in
                let count = Int(try request.parameter("count")) ?? 0
                return Response(body: .stream(CountingStream(count: count)))
            },
        ]
    }
}

/// The chunks `0\n`, `1\n` and so on, which are made only when they are requested.
struct CountingStream: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    var count: Int
    var pieceBytes = 0
    /// Receives the number of chunks that have been requested before.
    var onNext: @Sendable (Int) throws -> Void = { _ in }

    struct AsyncIterator: AsyncIteratorProtocol {
        let stream: CountingStream
        var next = 0

        mutating func next() async throws -> [UInt8]? {
            try stream.onNext(next)
            guard next < stream.count else { return nil }
            defer { next += 1 }
            let piece = Array("\(next)\n".utf8)
            return piece + [UInt8](repeating: UInt8(ascii: "."), count: Swift.max(stream.pieceBytes - piece.count, 0))
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(stream: self) }
}
