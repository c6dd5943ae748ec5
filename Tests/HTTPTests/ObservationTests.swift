import HTTPTypes
import Testing

@testable import HTTP

/// Keeps everything that an observer receives.
final class RecordingObserver: ConnectionObserving {
    let opened = Recorder<SocketAddress>()
    let closed = Recorder<ConnectionReport>()
    let requests = Recorder<RequestReport>()

    func connectionOpened(from peer: SocketAddress) { opened.append(peer) }
    func connectionClosed(_ report: ConnectionReport) { closed.append(report) }
    func requestFinished(_ report: RequestReport) { requests.append(report) }
}

@Suite("An observer of connections", .timeLimit(.minutes(5)))
struct ObservationTests {
    /// Runs a server with an observer to its end, when the observer has received everything.
    private func observe(
        _ routes: [Route] = .standard, configuration: HTTPServerConfiguration = .with { _ in },
        _ body: @Sendable (UInt16, HTTPServer) async throws -> Void
    ) async throws -> RecordingObserver {
        let observer = RecordingObserver()
        try await withServer(routes, configuration: configuration, observers: [observer], body)
        return observer
    }

    @Test("receives for each request what metrics and logs need")
    func requests() async throws {
        let annotated = Route(.post, "/annotated", summary: "") { _ in
            var response = Response(status: .created)
            response.annotations = ["job": "7"]
            return response
        }
        let question = get("/items/7?prompt=secret", "X-Request-Id: abc\r\n")
        let note = post("/annotated", "body")
        let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\n\r\n"
        let observer = try await observe([Route].standard + [annotated]) { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.exchange(question).body == "7")
            try client.send(note + chunked + get("/nothing"))
            for status in [201, 200, 404] { #expect(try client.response().status == status) }
        }
        let reports = observer.requests.all
        #expect(reports.map(\.method) == [.get, .post, .post, .get])
        #expect(reports.map(\.path) == ["/items/7", "/annotated", "/echo", "/nothing"])
        #expect(reports.map(\.routePattern) == ["/items/{id}", "/annotated", "/echo", nil])
        #expect(reports.map(\.status) == [.ok, .created, .ok, .notFound])
        #expect(reports.map(\.bytesReceived) == [question, note, chunked, get("/nothing")].map(\.utf8.count))
        #expect(reports.map(\.outcome) == [.done, .done, .done, .done])
        #expect(reports.first?.identifier == "abc")
        #expect(reports.map(\.annotations) == [[:], ["job": "7"], [:], [:]])
        #expect(
            reports.allSatisfy { $0.remoteAddress.host == "127.0.0.1" && $0.duration > .zero && $0.bytesSent > 100 })
    }

    @Test("receives requests that are refused")
    func refused() async throws {
        let observer = try await observe { port, _ in
            let response = try RawClient(port: port).exchange("GET / HTTP/1.1\r\nHost : a\r\n\r\n")
            #expect(response.status == 400)
        }
        let report = try #require(observer.requests.all.first)
        #expect(report.method == nil && report.path == nil && report.routePattern == nil)
        #expect(report.status == .badRequest && report.bytesReceived > 16 && report.outcome == .done)
        #expect(observer.closed.all.map(\.requests) == [1])
    }

    @Test("learns that a client went away before its answer")
    func aborted() async throws {
        let gate = Gate()
        let observer = try await observe([.waiting(at: gate)]) { port, server in
            let client = try RawClient(port: port)
            try client.send(get("/wait"))
            try await gate.waitForArrivals()
            #expect(server.openConnections == 1)
            client.reset()
            try await gate.waitForCancellations()
        }
        let report = try #require(observer.requests.all.first)
        #expect(report.outcome == .aborted && report.status == nil && report.path == "/wait")
    }

    @Test("receives the opening and closing of connections")
    func connections() async throws {
        let observer = try await observe { port, server in
            let clients = try (0..<3).map { _ in try RawClient(port: port) }
            for client in clients { for _ in 0..<4 { #expect(try client.exchange(get("/hello")).status == 200) } }
            #expect(server.openConnections == 3)
            // A client that is no longer used closes its connection, so the clients are used until here.
            for client in clients { client.close() }
        }
        #expect(observer.opened.all.count == 3)
        #expect(observer.closed.all.map(\.requests) == [4, 4, 4])
        #expect(Set(observer.closed.all.map(\.peer)) == Set(observer.opened.all))
        #expect(observer.closed.all.allSatisfy { $0.duration > .zero })
    }
}
