import COpenSSL
import Foundation
import HTTPTypes
import Testing

@testable import HTTP

@Suite("A server that speaks TLS", .timeLimit(.minutes(5)))
struct TLSTests {
    /// A server with a certificate for localhost.
    private func withTLS(
        _ routes: [Route] = .standard, minimum: TLSConfiguration.Version = .tls12,
        _ change: (inout HTTPServerConfiguration) -> Void = { _ in },
        _ body: @Sendable (UInt16, HTTPServer, Certificates) async throws -> Void
    ) async throws {
        let certificates = try Certificates()
        try certificates.makeSelfSigned("first")
        let configuration = HTTPServerConfiguration.with {
            $0.tls = TLSConfiguration(
                certificateFile: certificates.path("first.pem"), keyFile: certificates.path("first.key"),
                minimumVersion: minimum)
            change(&$0)
        }
        try await withServer(routes, configuration: configuration) {
            try await body($0, $1, certificates)
        }
    }

    @Test(
        "answers in both versions",
        arguments: [(TLS1_2_VERSION, "TLSv1.2"), (TLS1_3_VERSION, "TLSv1.3")])
    func versions(maximum: Int32, name: String) async throws {
        let schemes = Recorder<String>()
        let scheme = Route(.get, "/scheme", summary: "") { request in
            schemes.append(request.scheme)
            return .text("seen")
        }
        try await withTLS([Route].standard + [scheme]) { port, _, certificates in
            let client = try RawClient(
                port: port,
                tls: .init(maximumVersion: maximum, authorities: certificates.path("first.pem")))
            #expect(client.tls?.version == name && client.tls?.chosenProtocol == "http/1.1")
            for index in 0..<5 { #expect(try client.exchange(get("/items/\(index)")).body == "\(index)") }
            #expect(try client.exchange(get("/scheme")).body == "seen")
            let misdirected = "GET http://localhost/hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
            #expect(try client.exchange(misdirected).status == 421)
        }
        #expect(schemes.all == ["https"])
    }

    @Test("refuses versions below the configured one")
    func minimumVersion() async throws {
        try await withTLS(minimum: .tls13) { port, _, _ in
            #expect(throws: ClientTLS.Failure.self) {
                try RawClient(port: port, tls: .init(maximumVersion: TLS1_2_VERSION))
            }
            let next = try RawClient(port: port, tls: .init())
            #expect(try next.exchange(get("/hello")).body == "hello")
        }
    }

    @Test("speaks HTTP/1.1 and refuses clients that offer only others")
    func protocols() async throws {
        try await withTLS { port, _, _ in
            let both = try RawClient(port: port, tls: .init(protocols: ["h2", "http/1.1"]))
            #expect(both.tls?.chosenProtocol == "http/1.1")
            let none = try RawClient(port: port, tls: .init(protocols: []))
            #expect(try none.tls?.chosenProtocol == nil && none.exchange(get("/hello")).body == "hello")
            #expect(throws: ClientTLS.Failure(reason: "tlsv1 alert no application protocol")) {
                try RawClient(port: port, tls: .init(protocols: ["h2", "http/1.0"]))
            }
        }
    }

    @Test("sends the certificates between its own and the authority's")
    func chain() async throws {
        let certificates = try Certificates()
        try certificates.makeChain()
        let configuration = HTTPServerConfiguration.with {
            $0.tls = TLSConfiguration(
                certificateFile: certificates.path("chain.pem"), keyFile: certificates.path("chain.key"))
        }
        try await withServer(configuration: configuration) { port, _ in
            let client = try RawClient(port: port, tls: .init(authorities: certificates.path("root.pem")))
            #expect(try client.exchange(get("/hello")).body == "hello")
        }
    }

    @Test("takes and sends large bodies, streams and pipelined requests")
    func traffic() async throws {
        try await withTLS { port, _, _ in
            let client = try RawClient(port: port, tls: .init())
            let large = String(repeating: "0123456789", count: 300_000)
            #expect(try client.exchange(post("/echo", large)).body == large)
            let stream = try client.exchange(get("/stream/1000"))
            #expect(stream.chunks.count == 1000 && stream.body.hasSuffix("\n999\n"))
            try client.send((0..<200).map { get("/items/\($0)") }.joined())
            for index in 0..<200 { #expect(try client.response().body == "\(index)") }
        }
    }

    @Test("keeps a response for a client that reads slowly")
    func slowReader() async throws {
        let routes = [
            Route(.get, "/large", summary: "") { _ in
                Response(body: .stream(CountingStream(count: 200, pieceBytes: 50_000)))
            }
        ]
        try await withTLS(routes) { port, _, _ in
            let client = try RawClient(port: port, receiveBuffer: 4096, tls: .init())
            try client.send(get("/large") + get("/large"))
            for _ in 0..<2 {
                usleep(50_000)
                let response = try client.response()
                #expect(response.chunks.count == 200 && response.chunks.allSatisfy { $0.count == 50_000 })
            }
        }
    }

    @Test("sends close_notify at an orderly end, but not if a response is cut off")
    func closing() async throws {
        struct Broken: Error {}
        let routes =
            [Route].standard + [
                Route(.get, "/broken", summary: "") { _ in
                    Response(body: .stream(CountingStream(count: 9) { if $0 == 3 { throw Broken() } }))
                }
            ]
        try await withTLS(routes) { port, _, _ in
            let orderly = try RawClient(port: port, tls: .init())
            #expect(try orderly.exchange(get("/hello", "Connection: close\r\n")).status == 200)
            #expect(try orderly.isAtEnd() && orderly.tls?.sawEnd == true)
            // In HTTP/1.0 the body ends with the connection, and only close_notify shows whether it is complete.
            let broken = try RawClient(port: port, tls: .init())
            #expect(try broken.exchange("GET /broken HTTP/1.0\r\n\r\n").body == "0\n1\n2\n")
            #expect(broken.tls?.sawEnd == false)
        }
    }

    @Test(
        "closes a connection whose handshake does not begin or does not end", arguments: [0, 1, 5, 20])
    func handshakeTimeout(bytes: Int) async throws {
        let hello: [UInt8] = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3] + [UInt8](repeating: 7, count: 100)
        try await withTLS {
            $0.timeouts.header = .milliseconds(100)
        } _: { port, _, _ in
            let client = try RawClient(port: port)
            try client.send(Array(hello[..<bytes]))
            #expect(try client.isAtEnd())
        }
    }

    @Test(
        "closes a connection that speaks something else, and serves the next",
        arguments: [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}\u{5}hello",
            "SSH-2.0-x\r\n",
        ])
    func otherProtocols(bytes: String) async throws {
        try await withTLS { port, server, _ in
            for _ in 0..<20 {
                let client = try RawClient(port: port)
                try client.send(bytes)
                client.finishSending()
                // An alert can arrive first. A server that closes with unread bytes resets the connection.
                _ = try? client.readToEnd()
            }
            let client = try RawClient(port: port, tls: .init())
            #expect(try client.exchange(get("/hello")).body == "hello")
            while server.openConnections > 1 { try await Task.sleep(for: .milliseconds(2)) }
        }
    }

    @Test("forgets connections that are reset in the middle of a handshake or a response")
    func resets() async throws {
        try await withTLS { port, server, _ in
            for index in 0..<60 {
                let client = try RawClient(port: port, tls: index % 3 == 0 ? .init() : nil)
                if index % 3 == 0 { try client.send(get("/stream/100000")) }
                if index % 3 == 1 { try client.send([22, 3, 1, 2, 0, 1, 0]) }
                client.reset()
            }
            let next = try RawClient(port: port, tls: .init())
            #expect(try next.exchange(get("/hello")).body == "hello")
            while server.openConnections > 1 { try await Task.sleep(for: .milliseconds(2)) }
        }
    }

    @Test("resumes a client's earlier session", arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func resumption(version: Int32) async throws {
        try await withTLS { port, _, _ in
            let first = try RawClient(port: port, tls: .init(maximumVersion: version))
            #expect(try first.exchange(get("/hello")).status == 200)
            #expect(first.tls?.isResumed == false)
            let second = try RawClient(
                port: port, tls: .init(maximumVersion: version, session: first.tls?.session))
            #expect(second.tls?.isResumed == true)
            #expect(try second.exchange(get("/hello")).body == "hello")
        }
    }

    @Test("shows a new certificate after reloading, and leaves open connections alone")
    func reload() async throws {
        try await withTLS { port, server, certificates in
            let before = try RawClient(port: port, tls: .init())
            #expect(before.tls?.peerName == "first")
            try certificates.makeSelfSigned("second")
            for ending in ["pem", "key"] {
                #expect(
                    rename(certificates.path("second.\(ending)"), certificates.path("first.\(ending)")) == 0)
            }
            try await server.reloadCertificate()
            let after = try RawClient(port: port, tls: .init())
            #expect(after.tls?.peerName == "second")
            #expect(try before.exchange(get("/hello")).body == "hello")
        }
    }

    @Test("keeps its certificate if the new files cannot be used, and says why")
    func failedReload() async throws {
        try await withTLS { port, server, certificates in
            try certificates.makeSelfSigned("second")
            let key = certificates.path("first.key")
            try FileManager.default.removeItem(atPath: key)
            try FileManager.default.copyItem(atPath: certificates.path("second.key"), toPath: key)
            let mismatch = TLSError.mismatch(
                certificateFile: certificates.path("first.pem"), keyFile: key)
            await #expect(throws: mismatch) { try await server.reloadCertificate() }
            #expect(
                mismatch.description.hasPrefix(
                    "\(key): the private key does not belong to the first certificate in "))
            let client = try RawClient(port: port, tls: .init())
            #expect(try client.tls?.peerName == "first" && client.exchange(get("/hello")).body == "hello")
        }
    }

    @Test("refuses an address with too many connections after the handshake")
    func connectionsPerAddress() async throws {
        try await withTLS {
            $0.maximumConnectionsPerAddress = 2
        } _: { port, _, _ in
            let kept = try (0..<2).map { _ in try RawClient(port: port, tls: .init()) }
            let refused = try RawClient(port: port, tls: .init()).response()
            #expect(refused.status == 503 && refused.problem == "/problems/too-many-connections")
            for client in kept { #expect(try client.exchange(get("/hello")).body == "hello") }
        }
    }
}
