import Foundation
import HTTPTypes
import Testing

@testable import HTTP

@Suite("A body's pace")
struct BodyPaceTests {
    private let start = ContinuousClock.now
    private func pace() -> BodyPace { BodyPace(account: .seconds(30), rate: 1_000, at: start) }

    @Test("allows a client that sends much at first and then nothing only the time of its account")
    func frontLoaded() {
        var pace = pace()
        pace.take(4_000_000, at: start + .seconds(1))
        #expect(pace.deadline == start + .seconds(31))
    }

    @Test("allows a slow but steady client as much time as it needs")
    func steady() {
        var pace = pace()
        for second in 1...4_000 {
            let now = start + .seconds(second)
            #expect(pace.deadline > now)
            pace.take(1_000, at: now)
        }
        #expect(pace.deadline == start + .seconds(4_030))
    }

    @Test("ends for a client that sends a byte now and then")
    func trickle() {
        var pace = pace()
        for second in 1...30 { pace.take(1, at: start + .seconds(second)) }
        #expect(pace.deadline < start + .seconds(30.1))
    }

    @Test("lets a client make up for a pause, as far as its account goes")
    func pause() {
        var pace = pace()
        pace.take(20_000, at: start + .seconds(20))
        #expect(pace.deadline == start + .seconds(50))
        pace.take(5_000, at: start + .seconds(45))
        #expect(pace.deadline == start + .seconds(55))
    }
}

@Suite("The memory for bodies")
struct BodyBudgetTests {
    private let start = ContinuousClock.now

    /// A budget of 100 bytes, in which a body is slow below 50 bytes per second, and the names of displaced bodies.
    private func budget() -> (BodyBudget, Recorder<String>) { (BodyBudget(limit: 100, safeRate: 50), Recorder()) }

    private func open(
        _ name: String, in budget: BodyBudget, _ displaced: Recorder<String>, after seconds: Double = 0
    ) -> BodyHold {
        budget.open(at: start + .seconds(seconds)) { displaced.append(name) }
    }

    @Test("is taken, given back and never exceeded")
    func limit() {
        let (budget, displaced) = budget()
        let one = open("one", in: budget, displaced)
        let two = open("two", in: budget, displaced)
        #expect(one.take(60, at: start) && two.take(40, at: start))
        #expect(!two.take(1, at: start) && budget.used == 100)
        one.release()
        one.release()
        #expect(budget.used == 40 && two.take(60, at: start))
        #expect(displaced.all.isEmpty)
    }

    @Test("is given back when a body is no longer referenced")
    func references() {
        let (budget, displaced) = budget()
        do {
            let hold = open("one", in: budget, displaced)
            #expect(hold.take(100, at: start))
        }
        #expect(budget.used == 0)
    }

    @Test("goes from a body that has stalled to one that arrives")
    func standstill() {
        let (budget, displaced) = budget()
        let hog = open("hog", in: budget, displaced)
        #expect(hog.take(90, at: start))
        let other = open("other", in: budget, displaced, after: 10)
        #expect(other.take(30, at: start + .seconds(10)))
        #expect(displaced.all == ["hog"] && budget.used == 30)
        #expect(!hog.take(1, at: start + .seconds(10)), "what was displaced takes nothing any more")
        hog.release()
        #expect(budget.used == 30)
    }

    @Test("is taken from the slowest body first, and from no more bodies than necessary")
    func slowest() {
        let (budget, displaced) = budget()
        let holds = [("a", 30, 3.0), ("b", 30, 1.0), ("c", 30, 2.0)].map { name, bytes, second in
            let hold = open(name, in: budget, displaced)
            #expect(hold.take(bytes, at: start + .seconds(second)))
            return hold
        }
        let newcomer = open("new", in: budget, displaced, after: 12)
        #expect(newcomer.take(40, at: start + .seconds(12)))
        #expect(displaced.all == ["b"] && budget.used == 100)
        #expect(newcomer.take(20, at: start + .seconds(12)))
        #expect(displaced.all == ["b", "c"])
        withExtendedLifetime(holds) {}
    }

    @Test(
        "stays with a body that arrives fast enough, and with a complete one", arguments: ["fast", "whole"])
    func safe(kind: String) {
        let (budget, displaced) = budget()
        let holder = open(kind, in: budget, displaced)
        #expect(holder.take(10, at: start))
        if kind == "whole" { holder.complete() }
        #expect(holder.take(90, at: start + .seconds(kind == "whole" ? 0 : 9.9)))
        let other = open("other", in: budget, displaced, after: 10)
        #expect(!other.take(1, at: start + .seconds(10)))
        #expect(displaced.all.isEmpty && budget.used == 100)
        withExtendedLifetime(holder) {}
    }

    @Test("is refused to a slow body by a faster one")
    func slowNewcomer() {
        let (budget, displaced) = budget()
        let fast = open("fast", in: budget, displaced)
        let slow = open("slow", in: budget, displaced)
        #expect(slow.take(10, at: start) && fast.take(10, at: start))
        #expect(fast.take(80, at: start + .seconds(20)))
        #expect(!slow.take(1, at: start + .seconds(20.1)))
        #expect(displaced.all.isEmpty)
    }

    @Test("is counted correctly with many threads")
    func threads() async {
        let budget = BodyBudget(limit: 1_000, safeRate: 1_000_000)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for round in 0..<500 {
                        let hold = budget.open(at: .now) {}
                        for _ in 0..<(round % 5) { _ = hold.take(100) }
                        if round % 2 == 0 { hold.complete() }
                        #expect(budget.used <= 1_000)
                    }
                }
            }
        }
        #expect(budget.used == 0)
    }
}

@Suite("A request with a body", .timeLimit(.minutes(5)))
struct BodyScreeningTests {
    /// The screen refuses requests without a token, as the handler does.
    private static let routes = [
        Route(
            .post, "/guarded", summary: "", screen: { try check($0) },
            handler: { request in
                try check(request)
                return .text("\(request.body.count)")
            })
    ]

    private static func check(_ request: Request) throws {
        guard request.headers[.authorization] != nil else { throw Problem.invalidField("a", detail: "no token") }
    }

    private func head(_ path: String, method: String = "POST", _ fields: String) -> String {
        "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"
    }

    @Test(
        "that is refused whatever the body is refused at once, without 100 Continue",
        arguments: [
            ("/guarded", "POST", "Content-Length: 5000000\r\nExpect: 100-continue\r\n", 400),
            ("/guarded", "POST", "Content-Length: 5\r\nExpect: 100-continue\r\n", 400),
            ("/guarded", "POST", "Content-Length: 5000000\r\n", 400),
            ("/guarded", "POST", "Transfer-Encoding: chunked\r\n", 400),
            ("/nothing", "POST", "Content-Length: 5000000\r\nExpect: 100-continue\r\n", 404),
            ("/guarded", "PUT", "Content-Length: 5000000\r\nExpect: 100-continue\r\n", 405),
            ("/guarded", "POST", "Content-Length: 16000001\r\nExpect: 100-continue\r\n", 413),
            ("/guarded", "POST", "Content-Length: 5\r\nExpect: 100-continue, x\r\n", 417),
        ])
    func refused(path: String, method: String, fields: String, status: Int) async throws {
        let configuration = HTTPServerConfiguration.with { $0.limits.bodyBytes = 16_000_000 }
        try await withServer(Self.routes, configuration: configuration) { port, _ in
            let client = try RawClient(port: port)
            let response = try client.exchange(head(path, method: method, fields))
            #expect(response.status == status && response["connection"] == "close")
            #expect(try client.isAtEnd())
        }
    }

    @Test("that is not refused gets 100 Continue, and is read and answered")
    func asked() async throws {
        try await withServer(Self.routes) { port, _ in
            let client = try RawClient(port: port)
            for length in [5, 100_000] {
                let fields = "Authorization: x\r\nExpect: 100-continue\r\nContent-Length: \(length)\r\n"
                #expect(try client.exchange(head("/guarded", fields)).status == 100)
                #expect(try client.exchange(String(repeating: "x", count: length)).body == "\(length)")
            }
            let fields = "Authorization: x\r\nTransfer-Encoding: chunked\r\n"
            try client.send(head("/guarded", fields))
            #expect(try client.exchange("5\r\nhello\r\n0\r\n\r\n" + get("/nothing")).body == "5")
            #expect(try client.response().status == 404)
        }
    }

    @Test("that is small is read and answered on a connection that stays open")
    func small() async throws {
        try await withServer(Self.routes) { port, _ in
            let client = try RawClient(port: port)
            try client.send(head("/guarded", "Content-Length: 5\r\n"))
            #expect(try client.exchange("hello").status == 400)
            let admitted = head("/guarded", "Authorization: x\r\nContent-Length: 5\r\n") + "hello"
            #expect(try client.exchange(admitted).body == "5")
        }
    }

    @Test("gets its refusal although it sends all of the body first")
    func unread() async throws {
        try await withServer(Self.routes) { port, _ in
            let client = try RawClient(port: port)
            try client.send(head("/guarded", "Content-Length: 16000000\r\n"))
            // More bytes than all buffers in between can hold: the server reads and drops them.
            try client.send([UInt8](repeating: 120, count: 16_000_000))
            #expect(try client.response().status == 400)
        }
    }

    @Test("is screened within the server's middleware")
    func middleware() async throws {
        let router = try Router(routes: Self.routes, logger: .silent)
        let screen = router.screen(within: [CrossOrigin(origins: ["https://a.example"])])
        var request = Request(
            method: .post, path: "/guarded", pathSegments: ["guarded"], headers: [.origin: "https://a.example"])
        let refusal = try #require(await screen(request))
        #expect(refusal.headers[.accessControlAllowOrigin] == "https://a.example")
        #expect(refusal.routePattern == "/guarded")
        request.headers[.authorization] = "x"
        #expect(await screen(request) == nil)
        request.method = .options
        #expect(await screen(request) == nil)
    }

    @Test("makes no progress with the bytes of its framing")
    func framing() async throws {
        var input = InputState(parser: RequestParser(limits: RequestLimits()))
        input.append(Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        _ = try input.parse()
        var timeouts = HTTPServerConfiguration.Timeouts()
        timeouts.minimumBodyRate = 1
        input.expectBody(by: timeouts)
        let before = try #require(input.deadline(by: timeouts))
        input.append(Array("00000000000000000000000000000000000000000000;a=b".utf8))
        _ = try input.parse()
        #expect(input.deadline(by: timeouts) == before)
    }

    @Test("displaces one that has stalled if the memory for bodies is used up, and that one is asked to try again")
    func displaced() async throws {
        let configuration = HTTPServerConfiguration.with {
            $0.maximumBodyBytesInFlight = 100_000
            $0.limits.bodyBytes = 100_000
        }
        // A body must arrive at 833 bytes per second here, 100,000 in 120 seconds. One that stalls is slower within five seconds.
        try await withServer(configuration: configuration) { port, server in
            let hog = try RawClient(port: port)
            try hog.send(String(post("/echo", String(repeating: "x", count: 99_000)).dropLast(10)))
            // Another body that arrived earlier would take the memory.
            while server.bodyBytes < 98_990 { usleep(10_000) }
            var status = 503
            while status == 503 {
                usleep(100_000)
                let body = String(repeating: "y", count: 10_000)
                status = try RawClient(port: port).exchange(post("/echo", body)).status
            }
            #expect(status == 200)
            let response = try hog.response()
            #expect(response.status == 503 && response.detail?.contains("more slowly") == true)
            #expect(response["retry-after"] == "1")
        }
    }
}
