import Foundation
import HTTPTypes
import TestScratch
import Testing

@testable import HTTP

/// The only test of its suite, because it counts the descriptors of the whole process.
@Suite("Connections that come and go", .timeLimit(.minutes(5)))
struct ConnectionChurnTests {
    /// Descriptors of this process that are sockets bound to a port, on either side.
    private static func sockets(port: UInt16) throws -> Int {
        let suffix = String(format: ":%04X", Int(port))
        var inodes: Set<String> = []
        for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            for line in try String(contentsOfFile: table, encoding: .utf8).split(separator: "\n").dropFirst() {
                let columns = line.split(separator: " ")
                if columns[1].hasSuffix(suffix) || columns[2].hasSuffix(suffix) { inodes.insert(String(columns[9])) }
            }
        }
        let links = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }
        return links.filter { link in inodes.contains { link == "socket:[\($0)]" } }.count
    }

    @Test("leave no descriptors behind")
    func churn() async throws {
        try await withServer(configuration: .with { $0.timeouts.linger = .milliseconds(200) }) { port, server in
            var generator = SeededGenerator(seed: 11)
            for _ in 0..<4000 {
                let client = try RawClient(port: port)
                switch Int.random(in: 0..<9, using: &generator) {
                case 0: client.reset()
                case 1: client.close()
                case 2:
                    try client.send("GET /hel")
                    client.reset()
                case 3:
                    try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
                    client.close()
                case 4:
                    try client.send(get("/hello") + get("/hello"))
                    client.reset()
                case 5:
                    try client.send(get("/stream/1000"))
                    client.close()
                case 6:
                    try client.send("nonsense\r\n\r\n")
                    client.close()
                case 7:
                    try client.send(get("/hello"))
                    client.finishSending()
                    #expect(try client.response().body == "hello")
                default:
                    #expect(try client.exchange(get("/hello")).body == "hello")
                }
            }
            // The clients are gone. The remaining connections, whose end has not been read yet, last at most this long.
            // While others come and go, the kernel's table can lack a socket that exists.
            for _ in 0..<600 where try Self.sockets(port: port) != 1 { usleep(50_000) }
            let isOnlyListenerLeft = try (0..<20).contains { _ in try Self.sockets(port: port) == 1 }
            #expect(isOnlyListenerLeft, "only the listening socket is left")
            #expect(try RawClient(port: port).exchange(get("/hello")).body == "hello")
            #expect(await server.shutdown(grace: .seconds(30)) == 0)
            #expect(try Self.sockets(port: port) == 0)
        }
    }
}
