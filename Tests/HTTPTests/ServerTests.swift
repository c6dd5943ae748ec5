import Foundation
import HTTPTypes
import Logging
import Testing

@testable import HTTP

@Suite("A server", .timeLimit(.minutes(5)))
struct ServerTests {
    @Test("answers several requests on one connection")
    func keepAlive() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            for index in 0..<20 {
                let response = try client.exchange(get("/items/\(index)"))
                #expect(response.status == 200 && response.body == "\(index)" && response["connection"] == nil)
                #expect(response["date"]?.hasSuffix(" GMT") == true)
            }
            let last = try client.exchange(get("/hello", "Connection: close\r\n"))
            #expect(last["connection"] == "close")
            #expect(try client.isAtEnd())
        }
    }

    @Test("answers pipelined requests in their order")
    func pipelining() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            let requests = (0..<200).map { index in
                index % 3 == 0 ? get("/items/\(index)") : post("/echo", "\(index)")
            }
            try client.send(requests.joined())
            for index in 0..<200 { #expect(try client.response().body == "\(index)") }
        }
    }

    @Test("answers pipelined requests of a client that has finished sending")
    func halfClosed() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            try client.send(get("/items/1") + get("/items/2") + "GET /unfinished")
            client.finishSending()
            #expect(try client.response().body == "1")
            #expect(try client.response().body == "2")
            #expect(try client.isAtEnd())
        }
    }

    @Test("stops reading after some bytes while a handler is running")
    func readAhead() async throws {
        let gate = Gate()
        let routes = [Route].standard + [.waiting(at: gate)]
        try await withServer(routes) { port, _ in
            let client = try RawClient(port: port)
            let count = 20_000
            let sender = Thread {
                // More bytes than the server reads ahead and the kernel buffers: sends block until the gate opens.
                try? client.send(get("/wait") + String(repeating: get("/hello"), count: count))
            }
            sender.start()
            try await gate.waitForArrivals()
            await gate.open()
            #expect(try client.response().body == "waited")
            for _ in 0..<count where try client.response().body != "hello" { Issue.record("a response is wrong") }
        }
    }

    @Test("answers HEAD with GET's fields and no body")
    func head() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            let request = get("/hello").replacingOccurrences(of: "GET", with: "HEAD")
            let response = try client.exchange(request, method: "HEAD")
            #expect(response.status == 200 && response["content-length"] == "5")
            #expect(try client.exchange(get("/hello")).body == "hello", "the next response follows at once")
            let stream = get("/stream/3").replacingOccurrences(of: "GET", with: "HEAD")
            #expect(try client.exchange(stream, method: "HEAD")["transfer-encoding"] == "chunked")
            #expect(try client.exchange(get("/hello")).body == "hello")
        }
    }

    @Test("answers unknown routes and methods and keeps the connection")
    func routing() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            let unknown = try client.exchange(get("/nothing?prompt=secret"))
            #expect(unknown.status == 404 && unknown.problem == "/problems/unknown-route")
            #expect(!unknown.body.contains("secret"))
            let wrong = try client.exchange(post("/hello", "x"))
            #expect(wrong.status == 405 && wrong["allow"] == "GET, HEAD, OPTIONS")
            let options = try client.exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(options.status == 204 && options["allow"] == "GET, HEAD, OPTIONS, POST")
            #expect(try client.exchange(get("/hello")).body == "hello")
        }
    }

    @Test(
        "answers bytes that are not a request with a problem, and closes",
        arguments: [
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "/problems/malformed-request"),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413, "/problems/body-too-large"),
            ("GET /\(String(repeating: "a", count: 300)) HTTP/1.1\r\n", 414, "/problems/target-too-long"),
            ("GET / HTTP/1.1\r\nX: \(String(repeating: "a", count: 300))\r\n", 431, "/problems/header-too-large"),
            ("GET / HTTP/3.0\r\n", 505, "/problems/unsupported-version"),
        ])
    func rejection(request: String, status: Int, problem: String) async throws {
        let limits = RequestLimits(targetBytes: 200, headerBytes: 200, headerCount: 10, bodyBytes: 100)
        try await withServer(configuration: .with { $0.limits = limits }) { port, _ in
            let client = try RawClient(port: port)
            let response = try client.exchange(request)
            #expect(response.status == status && response.problem == problem && response["connection"] == "close")
            #expect(try client.isAtEnd())
        }
    }

    @Test("lets a client that sends too much read why")
    func lingering() async throws {
        try await withServer(configuration: .with { $0.limits.bodyBytes = 1000 }) { port, _ in
            for fields in ["Content-Length: 4000000\r\n", "Transfer-Encoding: chunked\r\n"] {
                let client = try RawClient(port: port)
                let body = fields.hasPrefix("T") ? "3D0900\r\n" : ""
                try client.send("POST /echo HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\(body)")
                // A server that closed at once would reset the connection here, and the response would be lost.
                try client.send([UInt8](repeating: 65, count: 4_000_000))
                #expect(try client.response().status == 413)
                #expect(try client.isAtEnd())
            }
        }
    }

    @Test("sends 100 Continue if the client expects it and the body has not arrived")
    func expectContinue() async throws {
        try await withServer(configuration: .with { $0.limits.bodyBytes = 100 }) { port, _ in
            let client = try RawClient(port: port)
            try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            #expect(try client.response().status == 100)
            #expect(try client.exchange("hello").body == "hello")
            // The body has already arrived, so there is no 100.
            #expect(try client.exchange(post("/echo", "again", "Expect: 100-continue\r\n")).body == "again")
            try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n")
            #expect(try client.response().status == 413)
        }
    }

    @Test("accepts chunked and large bodies")
    func bodies() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            let chunked =
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\n\r\n"
            #expect(try client.exchange(chunked).body == "hello!")
            let large = String(repeating: "0123456789", count: 300_000)
            #expect(try client.exchange(post("/echo", large)).body == large)
        }
    }

    @Test("closes after an HTTP/1.0 request unless asked to keep the connection")
    func http10() async throws {
        try await withServer { port, _ in
            let client = try RawClient(port: port)
            let kept = try client.exchange("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(kept.body == "hello" && kept["connection"] == "keep-alive")
            let stream = try client.exchange("GET /stream/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(stream.body == "0\n1\n2\n" && stream["connection"] == "close")
            #expect(stream["transfer-encoding"] == nil)
            let closed = try RawClient(port: port).exchange("GET /hello HTTP/1.0\r\n\r\n")
            #expect(closed["connection"] == "close")
        }
    }

    @Test("holds no more request bodies at a time than its limit")
    func bodyBudget() async throws {
        let gate = Gate()
        let configuration = HTTPServerConfiguration.with { $0.maximumBodyBytesInFlight = 2_000_000 }
        try await withServer([Route].standard + [.waiting(.post, at: gate)], configuration: configuration) { port, _ in
            let body = String(repeating: "a", count: 1_500_000)
            let first = try RawClient(port: port)
            try first.send(post("/wait", body))
            try await gate.waitForArrivals()
            let refused = try RawClient(port: port).exchange(post("/echo", body))
            #expect(refused.status == 503 && refused.problem == "/problems/unavailable")
            #expect(refused["retry-after"] == "1")
            await gate.open()
            #expect(try first.response().body == "waited")
            for _ in 0..<3 {
                #expect(try RawClient(port: port).exchange(post("/echo", body)).body == body, "the room is given back")
            }
        }
    }

    @Test("logs requests without their queries and bodies")
    func logging() async throws {
        let lines = Recorder<String>()
        let logger = Logger(label: "test") { _ in RecordingLogHandler(lines: lines) }
        let router = try Router(routes: .standard, logger: logger)
        let server = HTTPServer(configuration: .with { _ in }, logger: logger, router: router)
        let port = try #require(try await server.start().first).port
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            let client = try RawClient(port: port)
            _ = try client.exchange(post("/echo?prompt=secret", "secret", "X-Request-Id: abc\r\n"))
            _ = try client.exchange("GET /?secret HTTP/1.1\r\nHost: a\r\nContent-Length: secret\r\n\r\n")
        }
        await server.shutdown(grace: .seconds(10))
        let requests = lines.all.filter { $0.hasPrefix("request") }
        #expect(requests.count == 2)
        for part in ["method=POST", "path=/echo ", "status=200", "bytes=", "request=abc", "outcome=done"] {
            #expect(requests.first?.contains(part) == true, "\(part) in \(requests)")
        }
        #expect(requests.last?.contains("status=400") == true)
        #expect(!lines.all.joined().contains("secret"))
    }

    @Test("closes the connection if the handler asks for it")
    func closesConnection() async throws {
        let routes = [
            Route(.get, "/last", summary: "") { _ in
                var response = Response.text("last")
                response.closesConnection = true
                return response
            }
        ]
        try await withServer(routes) { port, _ in
            let client = try RawClient(port: port)
            #expect(try client.exchange(get("/last"))["connection"] == "close")
            #expect(try client.isAtEnd())
        }
    }

    @Test("gives handlers everything about the client and its request")
    func request() async throws {
        let seen = Recorder<Request>()
        let routes = [
            Route(.post, "/things/{name}", summary: "") { request in
                seen.append(request)
                return Response(status: .noContent)
            }
        ]
        try await withServer(routes) { port, _ in
            let fields = "X-Request-Id: mine-1\r\nAccept: a\r\nAccept: b\r\n"
            let response = try RawClient(port: port).exchange(post("/things/a%20b?q=1&q=2", "body", fields))
            #expect(response.status == 204 && response["x-request-id"] == "mine-1")
        }
        let request = try #require(seen.all.first)
        #expect(request.method == .post && request.path == "/things/a%20b" && request.parameters == ["name": "a b"])
        #expect(request.query == [QueryItem(name: "q", value: "1"), QueryItem(name: "q", value: "2")])
        #expect(request.query("q") == "1" && request.query("r") == nil)
        #expect(request.headers[.accept] == "a, b" && request.body.elementsEqual("body".utf8))
        #expect(request.id == "mine-1" && request.remoteAddress.host == "127.0.0.1" && request.remoteAddress.port > 0)
        #expect(
            request.authority == "localhost" && request.scheme == "http" && request.routePattern == "/things/{name}")
    }

    @Test("serves other connections while one sends slowly and handlers are running")
    func slowClients() async throws {
        let gate = Gate()
        let routes = [Route].standard + [.waiting(at: gate)]
        try await withServer(routes, configuration: .with { $0.threads = 1 }) { port, _ in
            let waiting = try (0..<50).map { _ in try RawClient(port: port) }
            for client in waiting { try client.send(get("/wait")) }
            let slow = try RawClient(port: port)
            for byte in post("/echo", "slow").utf8 {
                try slow.send([byte])
                #expect(try RawClient(port: port).exchange(get("/hello")).body == "hello")
            }
            #expect(try slow.response().body == "slow")
            await gate.open()
            for client in waiting { #expect(try client.response().body == "waited") }
        }
    }
}
