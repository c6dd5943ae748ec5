import Attribution
import Foundation
import Testing

@testable import InfluenceService

@Suite("Completions", .timeLimit(.minutes(30)))
struct CompletionTests {
    private let endless = "{\"prompt\": \"endless\"}"

    /// Waits until something is so.
    private func until(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test("end at the time limit with what there is by then")
    func timeLimit() async throws {
        try await TestServer.run {
            $0.completions.maximumSeconds = 0.02
        } test: { server in
            let reply = try await server.client.post("/v1/completions", json: endless)
            #expect(reply.status == 200)
            #expect(try reply.string("finish_reason") == "time_limit")
            #expect(try reply.string("completion") == " and")
        }
    }

    @Test("end when their client has gone, and let the next one run")
    func clientGone() async throws {
        try await TestServer.run {
            $0.completions.maximumSeconds = 86_400
            $0.completions.maximumWaitSeconds = 3_600
            $0.completions.concurrent = 1
        } test: { server in
            let connection = try RawConnection(server.client.address)
            try connection.send(
                "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
                    + "\(endless.utf8.count)\r\n\r\n\(endless)")
            try await until { server.engine.completing == 1 }
            connection.reset()
            #expect(try await server.client.post("/v1/completions", json: "{\"prompt\": \"a\"}").status == 200)
            #expect(server.engine.abandonedCompletions == 1)
        }
    }

    @Test("are refused for a while when as many run as may, and run again when one has ended")
    func busy() async throws {
        try await TestServer.run {
            $0.completions.maximumSeconds = 86_400
            $0.completions.maximumWaitSeconds = 0.01
            $0.completions.concurrent = 2
        } test: { server in
            let running = (0..<2).map { _ in Task { try await server.client.post("/v1/completions", json: endless) } }
            try await until { server.engine.completing == 2 }
            let reply = try await server.client.post("/v1/completions", json: "{\"prompt\": \"a\"}")
            try reply.expectProblem("completions-busy", status: 503, says: "2 completions are running")
            #expect(reply.headers["retry-after"] == "5")
            // Nothing else waits for them.
            #expect(try await server.client.get("/v1/model").status == 200)
            let path = try await server.post("a")
            _ = try await server.job(path, until: "succeeded")
            server.engine.release()
            for task in running { #expect(try await task.value.status == 200) }
            #expect(try await server.client.post("/v1/completions", json: endless).status == 200)
        }
    }
}

@Suite("Turns", .timeLimit(.minutes(30)))
struct TurnTests {
    @Test("are taken in the order of coming, and as many at a time as there are")
    func order() async throws {
        let turns = Turns(count: 2)
        #expect(await turns.take(within: .seconds(3_600)))
        #expect(await turns.take(within: .seconds(3_600)))
        let (entered, continuation) = AsyncStream.makeStream(of: Int.self)
        for number in 0..<5 {
            Task {
                if await turns.take(within: .seconds(3_600)) { continuation.yield(number) }
            }
            while await turns.waitingCount <= number { await Task.yield() }
        }
        var iterator = entered.makeAsyncIterator()
        for number in 0..<5 {
            await turns.give()
            #expect(await iterator.next() == number)
        }
        for _ in 0..<2 { await turns.give() }
        for _ in 0..<2 { #expect(await turns.take(within: .zero)) }
        #expect(await !turns.take(within: .zero))
    }

    @Test("do not come to those who have waited too long or were cancelled, and pass on to others")
    func leaving() async throws {
        let turns = Turns(count: 1)
        #expect(await turns.take(within: .zero))
        for _ in 0..<50 { #expect(await !turns.take(within: .zero)) }
        let cancelled = Task { await turns.take(within: .seconds(3_600)) }
        while await turns.waitingCount == 0 { await Task.yield() }
        let last = Task { await turns.take(within: .seconds(3_600)) }
        while await turns.waitingCount == 1 { await Task.yield() }
        cancelled.cancel()
        #expect(await !cancelled.value)
        let before = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await turns.take(within: .seconds(3_600))
        }
        #expect(await !before.value)
        await turns.give()
        #expect(await last.value)
        #expect(await turns.waitingCount == 0)
    }
}
