import HTTPTypes
import Testing

@testable import HTTP

@Suite("The client behind proxies")
struct TrustedProxiesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var why: String
        var peer = "10.0.0.1"
        var fields: [(String, String)]
        var client: String
        var scheme = "http"
        var authority = "direct"

        var testDescription: String { why }
    }

    static let trusted = TrustedProxies(
        ["10.0.0.0/8", "192.0.2.7", "fd00::/8"].compactMap(AddressBlock.init))

    static let cases: [Case] = [
        Case(why: "a peer without the fields", fields: [], client: "10.0.0.1:9"),
        Case(
            why: "a peer that is no proxy is not believed", peer: "203.0.113.1",
            fields: [
                ("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", "evil"),
            ], client: "203.0.113.1:9"),
        Case(
            why: "one proxy",
            fields: [
                ("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", "a.example:444"),
            ], client: "198.51.100.1:0", scheme: "https", authority: "a.example:444"),
        Case(
            why: "what a client wrote itself stands left of what the proxy added",
            fields: [
                ("X-Forwarded-For", "127.0.0.1, 198.51.100.1"), ("X-Forwarded-Proto", "https, http"),
                ("X-Forwarded-Host", "evil, a.example"),
            ], client: "198.51.100.1:0", authority: "a.example"),
        Case(
            why: "a client that claims to be a proxy",
            fields: [("X-Forwarded-For", "203.0.113.9, 198.51.100.1, 10.1.1.1")],
            client: "198.51.100.1:0"),
        Case(
            why: "two proxies, over two lines",
            fields: [
                ("X-Forwarded-For", "198.51.100.1"), ("x-forwarded-for", "192.0.2.7"),
                ("X-Forwarded-Proto", "https, http"),
            ], client: "198.51.100.1:0", scheme: "https"),
        Case(
            why: "two proxies of which the outer alone says the scheme",
            fields: [("X-Forwarded-For", "198.51.100.1, 10.9.9.9"), ("X-Forwarded-Proto", "https")],
            client: "198.51.100.1:0", scheme: "https"),
        Case(
            why: "none but proxies", fields: [("X-Forwarded-For", "10.0.0.3, 10.0.0.2")],
            client: "10.0.0.3:0"),
        Case(why: "an unknown client", fields: [("X-Forwarded-For", "unknown")], client: "10.0.0.1:9"),
        Case(
            why: "an element that is no address ends the search",
            fields: [("X-Forwarded-For", "198.51.100.1, nonsense, 10.0.0.2")], client: "10.0.0.2:0"),
        Case(
            why: "an empty element", fields: [("X-Forwarded-For", "198.51.100.1,")], client: "10.0.0.1:9"),
        Case(
            why: "an address with a port", fields: [("X-Forwarded-For", "198.51.100.1:81")],
            client: "198.51.100.1:81"),
        Case(
            why: "an IPv6 address", peer: "fd00::1", fields: [("X-Forwarded-For", "2001:DB8:0::1")],
            client: "[2001:db8::1]:0"),
        Case(
            why: "an IPv6 address with brackets and port",
            fields: [("X-Forwarded-For", "[2001:db8::1]:81")],
            client: "[2001:db8::1]:81"),
        Case(
            why: "an IPv6 address with brackets", fields: [("X-Forwarded-For", "[2001:db8::1]")],
            client: "[2001:db8::1]:0"),
        Case(
            why: "brackets around IPv4", fields: [("X-Forwarded-For", "[198.51.100.1]:81")],
            client: "10.0.0.1:9"),
        Case(
            why: "a port too large", fields: [("X-Forwarded-For", "198.51.100.1:70000")],
            client: "10.0.0.1:9"),
        Case(
            why: "an IPv4 proxy over an IPv6 socket", peer: "::ffff:10.0.0.1",
            fields: [("X-Forwarded-For", "198.51.100.1")], client: "198.51.100.1:0"),
        Case(
            why: "a scheme and a host that are none",
            fields: [("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Host", "a/b")], client: "10.0.0.1:9"),
    ]

    @Test("is the rightmost address that is not a trusted proxy", arguments: cases)
    func origin(_ example: Case) {
        var fields = HTTPFields()
        for (name, value) in example.fields {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        let direct = TrustedProxies.Origin(
            client: SocketAddress(host: example.peer, port: 9), scheme: "http", authority: "direct")
        let origin = Self.trusted.origin(of: fields, direct: direct)
        #expect(origin.client.description == example.client)
        #expect(origin.scheme == example.scheme && origin.authority == example.authority)
        #expect(
            TrustedProxies().origin(of: fields, direct: direct) == direct, "none is trusted by default")
    }

    @Test("is the address that handlers and observers receive")
    func server() async throws {
        let seen = Recorder<Request>()
        let observer = RecordingObserver()
        let route = Route(.get, "/", summary: "") { request in
            seen.append(request)
            return .text("")
        }
        let configuration = HTTPServerConfiguration.with {
            $0.trustedProxies = TrustedProxies([AddressBlock("127.0.0.0/8")].compactMap { $0 })
        }
        try await withServer([route], configuration: configuration, observers: [observer]) { port, _ in
            let fields =
                "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n"
            _ = try RawClient(port: port).exchange(get("/", fields))
        }
        let request = try #require(seen.all.first)
        #expect(request.remoteAddress.host == "198.51.100.1" && request.scheme == "https")
        #expect(request.authority == "a.example")
        #expect(observer.requests.all.first?.remoteAddress.host == "198.51.100.1")
        #expect(observer.closed.all.first?.peer.host == "127.0.0.1")
    }

    @Test(
        "is found by blocks of addresses",
        arguments: [
            ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.128.0.0/9", "10.127.255.255", false), ("10.128.0.0/9", "10.128.0.0", true),
            ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("::1", "0:0:0:0:0:0:0:1", true), ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("0.0.0.0/0", "::1", false), ("::/0", "1.2.3.4", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ])
    func blocks(block: String, host: String, isInside: Bool) throws {
        let parsed = try #require(AddressBlock(block))
        #expect(TrustedProxies([parsed]).contains(SocketAddress(host: host, port: 1)) == isInside)
    }

    @Test(
        "is not looked for in text that is not a block",
        arguments: [
            "", "a", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "::/129",
            "fd00::1/8", "[::1]",
            "10.0.0.0/8/8", "localhost", "10.0.0.0/+8", "1.2.3.4\u{0}",
        ])
    func noBlocks(text: String) {
        #expect(AddressBlock(text) == nil)
    }
}
