import Foundation
import Glibc
import HTTPTypes
import Testing

@testable import HTTP

@Suite("A server's life", .timeLimit(.minutes(5)))
struct ServerLifecycleTests {
    private static func start(_ configuration: HTTPServerConfiguration) async throws -> (HTTPServer, [SocketAddress]) {
        let router = try Router(routes: .standard, logger: .silent)
        let server = HTTPServer(configuration: configuration, logger: .silent, router: router)
        return (server, try await server.start())
    }

    @Test("begins on any free port, and returns it", arguments: ["127.0.0.1", "::1", "0.0.0.0", "::"])
    func anyPort(host: String) async throws {
        let (server, addresses) = try await Self.start(HTTPServerConfiguration(host: host, port: 0))
        let address = try #require(addresses.first)
        #expect(addresses.count == 1 && address.host == host && address.port > 0)
        #expect(await server.addresses == addresses)
        let body = try await withTaskExecutorPreference(BlockingExecutor.shared) {
            let client = try RawClient(port: address.port, host: host.contains(":") ? "::1" : "127.0.0.1")
            return try client.exchange(get("/hello")).body
        }
        #expect(body == "hello")
        await server.shutdown(grace: .seconds(30))
        #expect(await server.addresses.isEmpty)
    }

    @Test("accepts IPv4 clients on the wildcard address, and reports their address as IPv4")
    func dualStack() async throws {
        let seen = Recorder<SocketAddress>()
        let configuration = HTTPServerConfiguration(host: "::", port: 0)
        let server = HTTPServer(configuration: configuration, logger: .silent) { request in
            seen.append(request.remoteAddress)
            return Response()
        }
        let port = try #require(try await server.start().first).port
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            _ = try RawClient(port: port, host: "127.0.0.1").exchange(get("/"))
        }
        await server.shutdown(grace: .seconds(30))
        #expect(seen.all.map(\.host) == ["127.0.0.1"])
    }

    @Test("listens on every address of a name, on the same port")
    func names() async throws {
        let (server, addresses) = try await Self.start(HTTPServerConfiguration(host: "localhost", port: 0))
        #expect(Set(addresses.map(\.port)).count == 1)
        #expect(addresses.contains { $0.host == "127.0.0.1" || $0.host == "::1" })
        await server.shutdown(grace: .zero)
    }

    @Test("does not begin if it cannot listen, and says why")
    func startErrors() async throws {
        let (first, addresses) = try await Self.start(HTTPServerConfiguration(port: 0))
        let port = try #require(addresses.first).port
        await #expect(throws: HTTPServerError.addressInUse(host: "127.0.0.1", port: port)) {
            try await Self.start(HTTPServerConfiguration(port: port))
        }
        await #expect(throws: HTTPServerError.alreadyStarted) { try await first.start() }
        await #expect(throws: HTTPServerError.addressNotAvailable(host: "192.0.2.1")) {
            try await Self.start(HTTPServerConfiguration(host: "192.0.2.1", port: 0))
        }
        do {
            _ = try await Self.start(HTTPServerConfiguration(host: "no such host", port: 0))
            Issue.record("a host that does not exist was bound")
        } catch HTTPServerError.unknownHost("no such host", _) {
        }
        await first.shutdown(grace: .zero)
        #expect(
            HTTPServerError(SystemError(call: "bind", code: EACCES), host: "a", port: 80)
                == .permissionDenied(host: "a", port: 80))
        #expect("\(HTTPServerError.addressInUse(host: "a", port: 80))".contains("Port 80 on a is taken"))
    }

    @Test("can begin again on the port of one that has ended")
    func restart() async throws {
        let (first, addresses) = try await Self.start(HTTPServerConfiguration(port: 0))
        let port = try #require(addresses.first).port
        // A connection that the server closes first stays in TIME_WAIT on this port.
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            let client = try RawClient(port: port)
            #expect(try client.exchange(get("/hello", "Connection: close\r\n")).status == 200)
            #expect(try client.isAtEnd())
        }
        await first.shutdown(grace: .seconds(30))
        let (second, _) = try await Self.start(HTTPServerConfiguration(port: port))
        await second.shutdown(grace: .zero)
    }

    @Test("ends after the current requests, and accepts no others")
    func gracefulShutdown() async throws {
        let gate = Gate()
        try await withServer([Route].standard + [.waiting(at: gate)]) { port, server in
            let busy = try RawClient(port: port)
            let idle = try RawClient(port: port)
            #expect(try idle.exchange(get("/hello")).status == 200)
            try busy.send(get("/wait") + get("/hello"))
            try await gate.waitForArrivals()

            let ended = Task { await server.shutdown(grace: .seconds(60)) }
            #expect(try idle.isAtEnd(), "an idle connection is closed at once")
            #expect(throws: RawClient.Failure.cannotConnect(ECONNREFUSED)) { try RawClient(port: port) }

            await gate.open()
            let response = try busy.response()
            #expect(response.body == "waited" && response["connection"] == "close")
            #expect(try busy.isAtEnd(), "the request behind it is not answered")
            busy.close()
            #expect(await ended.value == 0)
        }
    }

    @Test("ends when the grace is over, and cancels the remaining handlers")
    func forcedShutdown() async throws {
        let gate = Gate()
        try await withServer([.waiting(at: gate)]) { port, server in
            let client = try RawClient(port: port)
            try client.send(get("/wait"))
            try await gate.waitForArrivals()
            #expect(await server.shutdown(grace: .milliseconds(50)) == 1)
            try await gate.waitForCancellations()
            #expect(throws: (any Error).self) { try client.response() }
        }
    }

    @Test("survives handlers that outlive it")
    func lateHandlers() async throws {
        let gate = Gate()
        let finished = Gate()
        let routes = [
            Route(.get, "/stubborn", summary: "") { _ in
                // A task of its own is not cancelled with the handler's.
                await Task.detached { await gate.wait() }.value
                await finished.open()
                return .text("too late")
            }
        ]
        try await withServer(routes) { port, server in
            let client = try RawClient(port: port)
            try client.send(get("/stubborn"))
            try await gate.waitForArrivals()
            #expect(await server.shutdown(grace: .zero) == 1)
            await gate.open()
            await finished.wait()
        }
    }

    @Test("makes clients over the limit wait until an idle connection is closed for them")
    func connectionLimit() async throws {
        let gate = Gate()
        try await withServer(
            [Route].standard + [.waiting(at: gate)], configuration: .with { $0.maximumConnections = 2 }
        ) {
            port, _ in
            let busy = try RawClient(port: port)
            try busy.send(get("/wait"))
            let idle = try RawClient(port: port)
            #expect(try idle.exchange(get("/hello")).status == 200)
            try await gate.waitForArrivals()

            let third = try RawClient(port: port)
            #expect(try third.exchange(get("/hello")).status == 200)
            #expect(try idle.isAtEnd())

            try third.send(get("/wait"))
            try await gate.waitForArrivals(2)
            let fourth = try RawClient(port: port)
            try fourth.send(get("/items/4"))
            await gate.open()
            #expect(try busy.response().body == "waited")
            busy.close()
            #expect(try fourth.response().body == "4")
        }
    }
}
