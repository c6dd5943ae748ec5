import Foundation
import HTTPTypes
import Testing

@testable import HTTP

@Suite("A streamed response", .timeLimit(.minutes(5)))
struct ServerStreamTests {
    @Test("arrives in its chunks, and the connection stays open")
    func pieces() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            let response = try client.exchange(get("/stream/100"))
            #expect(response.chunks.map { String(decoding: $0, as: UTF8.self) } == (0..<100).map { "\($0)\n" })
            #expect(try client.exchange(get("/stream/0")).body == "")
            #expect(try client.exchange(get("/hello")).body == "hello")
        }
    }

    @Test("arrives chunk by chunk, not only at its end")
    func promptness() async throws {
        let gate = Gate()
        let routes = [
            Route(.get, "/events", summary: "") { _ in
                let (stream, continuation) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
                continuation.yield(Array("first".utf8))
                Task {
                    await gate.wait()
                    continuation.yield(Array("second".utf8))
                    continuation.finish()
                }
                return Response(body: .stream(stream))
            }
        ]
        try await withServer(routes) { port, _ in
            let client = try RawClient(port: port)
            try client.send(get("/events"))
            while try !client.readLine().isEmpty {}
            #expect(try [client.readLine(), client.readLine()] == ["5", "first"])
            await gate.open()
            #expect(try [client.readLine(), client.readLine()] == ["6", "second"])
            #expect(try [client.readLine(), client.readLine()] == ["0", ""])
        }
    }

    @Test("waits for the client instead of filling the memory")
    func backpressure() async throws {
        let asked = Recorder<Int>()
        let pieces = 1000
        let pieceBytes = 100_000
        let routes = [
            Route(.get, "/large", summary: "") { _ in
                Response(
                    body: .stream(CountingStream(count: pieces, pieceBytes: pieceBytes) { asked.append($0) }))
            }
        ]
        try await withServer(routes) { port, _ in
            let client = try RawClient(port: port, receiveBuffer: 10_000)
            try client.send(get("/large"))
            #expect(try client.readLine() == "HTTP/1.1 200 OK")
            var before = -1
            // If nothing changes for a while, the server has stopped requesting chunks.
            while asked.all.count != before {
                before = asked.all.count
                usleep(300_000)
            }
            // The kernel's send buffer takes some megabytes, and the server's own at most two more chunks.
            #expect(asked.all.count < 200, "\(asked.all.count) pieces were asked for by a client that read none")
            while try !client.readLine().isEmpty {}
            var received = 0
            while let size = Int(try client.readLine(), radix: 16), size > 0 {
                received += try client.read(size + 2).count - 2
            }
            #expect(received == pieces * pieceBytes)
        }
    }

    @Test("that fails ends the connection without its last chunk")
    func failure() async throws {
        struct Failure: Error {}
        let routes = [
            Route(.get, "/failing", summary: "") { _ in
                Response(body: .stream(CountingStream(count: 10) { if $0 == 3 { throw Failure() } }))
            }
        ]
        try await withServer(routes) { port, _ in
            let client = try RawClient(port: port)
            #expect(throws: RawClient.Failure.closed(after: "")) { try client.exchange(get("/failing")) }
        }
    }

    @Test("is cancelled when the client goes away", arguments: [true, false])
    func cancellation(byReset: Bool) async throws {
        let ended = Gate()
        let routes = [
            Route(.get, "/ticks", summary: "") { _ in
                let (stream, continuation) = AsyncThrowingStream<[UInt8], any Error>.makeStream()
                let ticks = Task {
                    while !Task.isCancelled {
                        continuation.yield(Array("tick".utf8))
                        try await Task.sleep(for: .milliseconds(10))
                    }
                }
                continuation.onTermination = { _ in
                    ticks.cancel()
                    Task { await ended.open() }
                }
                return Response(body: .stream(stream))
            }
        ]
        try await withServer(routes) { port, _ in
            let client = try RawClient(port: port)
            try client.send(get("/ticks"))
            #expect(try client.readLine() == "HTTP/1.1 200 OK")
            if byReset { client.reset() } else { client.close() }
            await ended.wait()
        }
    }

    /// Timeouts with which a client that has finished sending is soon probed.
    private let probing = HTTPServerConfiguration.with { $0.timeouts.probe = .milliseconds(20) }

    @Test("a handler is cancelled when the client has gone", arguments: [true, false])
    func handlerCancellation(byReset: Bool) async throws {
        let gate = Gate()
        try await withServer([.waiting(at: gate)], configuration: probing) { port, _ in
            let client = try RawClient(port: port)
            try client.send(get("/wait"))
            try await gate.waitForArrivals()
            if byReset { client.reset() } else { client.close() }
            try await gate.waitForCancellations()
        }
    }

    @Test("a client that has only finished sending gets its response, after an interim one if it waits for long")
    func halfClosed() async throws {
        let gate = Gate()
        try await withServer([.waiting(at: gate)], configuration: probing) { port, _ in
            let client = try RawClient(port: port)
            try client.send(get("/wait") + get("/wait"))
            client.finishSending()
            #expect(try client.response().status == 100)
            await gate.open()
            for _ in 0..<2 {
                var response = try client.response()
                while response.status == 100 { response = try client.response() }
                #expect(response.body == "waited")
            }
            #expect(try client.isAtEnd())
        }
    }

    @Test("a client of HTTP/1.0 that has finished sending gets no interim response")
    func oldClient() async throws {
        let gate = Gate()
        try await withServer([.waiting(at: gate)], configuration: probing) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /wait HTTP/1.0\r\nHost: localhost\r\n\r\n")
            client.finishSending()
            try await gate.waitForArrivals()
            // Ticks come ten times a second.
            try await Task.sleep(for: .milliseconds(500))
            await gate.open()
            #expect(try client.response().body == "waited")
        }
    }
}
