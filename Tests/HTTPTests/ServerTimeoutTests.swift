import Foundation
import HTTPTypes
import Testing

@testable import HTTP

@Suite("A server that waits for a client", .timeLimit(.minutes(5)))
struct ServerTimeoutTests {
    /// Timeouts that are longer than a test's client waits, with a change.
    private static func timeouts(
        _ change: (inout HTTPServerConfiguration.Timeouts) -> Void
    ) -> HTTPServerConfiguration {
        .with {
            $0.timeouts.linger = .seconds(120)
            change(&$0.timeouts)
        }
    }

    @Test("gives up a header section that does not end")
    func header() async throws {
        try await withServer(configuration: Self.timeouts { $0.header = .seconds(1) }) { port, _ in
            let client = try RawClient(port: port)
            let response = try client.exchange("GET /hello HTTP/1.1\r\nHo")
            #expect(response.status == 408 && response.problem == "/problems/request-timeout")
            #expect(try client.isAtEnd())
        }
    }

    @Test("gives up a header section that comes byte by byte")
    func drip() async throws {
        try await withServer(configuration: Self.timeouts { $0.header = .seconds(1) }) { port, _ in
            let client = try RawClient(port: port)
            let drip = Thread {
                while !Thread.current.isCancelled, (try? client.send("X")) != nil { usleep(10_000) }
                client.finishSending()
            }
            drip.start()
            defer { drip.cancel() }
            #expect(try client.response().status == 408)
        }
    }

    @Test("closes a connection on which nothing arrives")
    func silence() async throws {
        try await withServer(configuration: Self.timeouts { $0.header = .milliseconds(100) }) { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.isAtEnd())
        }
    }

    @Test("gives up a body that does not end")
    func body() async throws {
        try await withServer(configuration: Self.timeouts { $0.body = .milliseconds(100) }) { port, _ in
            let client = try RawClient(port: port)
            let response = try client.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
            #expect(response.status == 408 && response.body.contains("body"))
        }
    }

    @Test("gives up a body of which almost everything arrives at once, and then nothing")
    func frontLoadedBody() async throws {
        let configuration = Self.timeouts {
            $0.body = .milliseconds(100)
            // At this rate the bytes that arrived would earn more time than the test's client waits.
            $0.minimumBodyRate = 1
        }
        try await withServer(configuration: configuration) { port, _ in
            let client = try RawClient(port: port)
            let body = String(repeating: "x", count: 9_999)
            let response = try client.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n\(body)")
            #expect(response.status == 408 && response.body.contains("body"))
        }
    }

    @Test("accepts a body that takes longer than the timeout, but arrives steadily")
    func slowBody() async throws {
        let configuration = Self.timeouts {
            $0.body = .seconds(2)
            $0.minimumBodyRate = 1
        }
        try await withServer(configuration: configuration) { port, _ in
            let client = try RawClient(port: port)
            try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
            for _ in 0..<5 {
                usleep(500_000)
                try client.send("0123456789")
            }
            #expect(try client.response().body == String(repeating: "0123456789", count: 5))
        }
    }

    @Test("closes a connection on which no further request arrives")
    func idle() async throws {
        try await withServer(configuration: Self.timeouts { $0.idle = .milliseconds(100) }) { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.exchange(get("/hello")).status == 200)
            #expect(try client.isAtEnd())
        }
    }

    @Test("has no timeout for handlers")
    func handlers() async throws {
        let routes = [
            Route(.get, "/slow", summary: "") { _ in
                try await Task.sleep(for: .milliseconds(2500))
                return .text("slow")
            }
        ]
        let configuration = Self.timeouts {
            for timeout in [\HTTPServerConfiguration.Timeouts.header, \.body, \.idle, \.write, \.linger, \.probe] {
                $0[keyPath: timeout] = .seconds(1)
            }
        }
        try await withServer(routes, configuration: configuration) { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.exchange(get("/slow")).body == "slow")
        }
    }

    @Test("cuts off a client that does not read")
    func write() async throws {
        let routes = [
            Route(.get, "/endless", summary: "") { _ in
                Response(body: .stream(CountingStream(count: .max, pieceBytes: 100_000)))
            }
        ]
        try await withServer(routes, configuration: Self.timeouts { $0.write = .milliseconds(200) }) { port, server in
            let client = try RawClient(port: port)
            try client.send(get("/endless"))
            #expect(try client.readLine() == "HTTP/1.1 200 OK")
            // The response has no end: only the timeout can end it within the grace.
            #expect(await server.shutdown(grace: .seconds(60)) == 0)
        }
    }

    @Test("closes a connection that the client leaves open after the last response")
    func linger() async throws {
        try await withServer(configuration: Self.timeouts { $0.linger = .milliseconds(100) }) { port, server in
            let client = try RawClient(port: port)
            #expect(try client.exchange(get("/hello", "Connection: close\r\n")).status == 200)
            #expect(await server.shutdown(grace: .seconds(60)) == 0)
        }
    }
}
