// A server and clients that use it in every way at once, for sanitizers to watch: requests, streams, uploads, resets, half requests,
// new certificates, connections over the limit, and shutdowns in the middle of all this.

import Foundation
import HTTP
import HTTPTypes
import Logging
import Synchronization

/// Counts the reports that it receives, so that the sanitizers also watch observers.
final class Counter: ConnectionObserving {
    let opened = Atomic<Int>(0)
    let closed = Atomic<Int>(0)
    let requests = Atomic<Int>(0)

    func connectionOpened(from peer: SocketAddress) { opened.add(1, ordering: .relaxed) }
    func connectionClosed(_ report: ConnectionReport) { closed.add(1, ordering: .relaxed) }
    func requestFinished(_ report: RequestReport) { requests.add(1, ordering: .relaxed) }
}

@main
enum Stress {
    static let routes = [
        Route(.get, "/hello", summary: "") { _ in .text("hello") },
        Route(.post, "/echo", summary: "") { .json($0.body) },
        Route(.get, "/slow", summary: "") { _ in
            try await Task.sleep(for: .milliseconds(20))
            return .text("slow")
        },
        Route(.get, "/stream", summary: "") { _ in
            let pieces = AsyncThrowingStream<[UInt8], any Error> { continuation in
                for number in 0..<50 { continuation.yield(Array("\(number)\n".utf8)) }
                continuation.finish()
            }
            return Response(headers: [.contentType: "text/plain"], body: .stream(pieces))
        },
    ]

    static func main() async throws {
        let rounds = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 6
        let certificates = try Certificates()
        try certificates.makeSelfSigned("server")
        let counter = Counter()
        for round in 0..<rounds { try await run(round, certificates, counter) }
        let (opened, closed) = (counter.opened.load(ordering: .relaxed), counter.closed.load(ordering: .relaxed))
        precondition(opened == closed, "\(opened) connections opened, \(closed) closed")
        print("\(rounds) rounds, \(opened) connections, \(counter.requests.load(ordering: .relaxed)) requests")
    }

    /// One server's life: every other one speaks TLS.
    static func run(_ round: Int, _ certificates: Certificates, _ counter: Counter) async throws {
        let speaksTLS = round % 2 == 1
        var configuration = HTTPServerConfiguration(port: 0)
        configuration.threads = 3
        configuration.maximumConnections = 40
        configuration.maximumConnectionsPerAddress = 30
        configuration.timeouts.linger = .milliseconds(200)
        configuration.hostNames = ["a"].compactMap { HostName($0) }
        if speaksTLS {
            configuration.tls = TLSConfiguration(
                certificateFile: certificates.path("server.pem"), keyFile: certificates.path("server.key"))
        }
        let logger = Logger(label: "stress") { _ in SwiftLogNoOpLogHandler() }
        let router = try Router(routes: routes, logger: logger)
        let server = HTTPServer(
            configuration: configuration, logger: logger, observers: [counter],
            handler: router.handler(within: [CrossOrigin(origins: ["*"]), Compression(minimumBytes: 1)]))
        let port = try await server.start().first?.port ?? 0
        let isOver = Flag()
        let clients = (0..<12).map { number in
            Thread.started {
                var generator = Generator(state: UInt64(round * 100 + number))
                while !isOver.isRaised { try? exchange(port: port, speaksTLS: speaksTLS, using: &generator) }
            }
        }
        for _ in 0..<10 {
            try await Task.sleep(for: .milliseconds(150))
            if speaksTLS { try await server.reloadCertificate() }
            precondition(server.openConnections <= 64 + configuration.maximumConnections)
        }
        // Clients are still at it: half of the shutdowns cut them off.
        await server.shutdown(grace: round % 4 < 2 ? .seconds(20) : .zero)
        isOver.raise()
        for client in clients { client.join() }
        precondition(server.openConnections == 0)
    }

    static func exchange(port: UInt16, speaksTLS: Bool, using generator: inout Generator) throws {
        let client = try RawClient(port: port, tls: speaksTLS && generator.pick(8) > 0 ? .init() : nil)
        for _ in 0..<generator.pick(6) {
            switch generator.pick(8) {
            case 0: return client.reset()
            case 1:
                try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
                return client.close()
            case 2:
                try client.send(request("/stream"))
                return client.reset()
            case 3: _ = try client.exchange(request("/stream", "Accept-Encoding: gzip\r\n"))
            case 4:
                let body = String(repeating: "x", count: 30_000)
                _ = try client.exchange(
                    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\nAccept-Encoding: gzip\r\n\r\n\(body)")
            case 5: _ = try client.exchange(request("/slow"))
            case 6:
                try client.send(request("/hello") + request("/hello"))
                _ = try client.response()
                _ = try client.response()
            default: _ = try client.exchange(request("/hello", "Origin: https://a.example\r\n"))
            }
        }
    }

    static func request(_ path: String, _ fields: String = "") -> String {
        "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n"
    }
}

final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
}

/// A thread that can be waited for.
final class Client: Sendable {
    private let end = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () -> Void) {
        Thread.detachNewThread { [end] in
            body()
            end.signal()
        }
    }

    func join() { end.wait() }
}

extension Thread {
    static func started(_ body: @escaping @Sendable () -> Void) -> Client { Client(body) }
}

/// A small generator: what a round does depends on its number alone.
struct Generator {
    var state: UInt64

    mutating func pick(_ count: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % count
    }
}
