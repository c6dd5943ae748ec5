import Testing

@testable import HTTP

@Suite("The host that a request is for")
struct AuthorityTests {
    @Test(
        "may be a name or an address, with a port or without",
        arguments: [
            ("localhost", "localhost", nil), ("localhost:80", "localhost", 80), ("LocalHost.:8080", "localhost", 8080),
            ("a-b_c~d.example", "a-b_c~d.example", nil), ("a%41", "a%41", nil), ("127.0.0.1:0", "127.0.0.1", 0),
            ("999.1.1.1", "999.1.1.1", nil), ("[::1]", "::1", nil), ("[0:0::0:1]:65535", "::1", 65535),
            ("[2001:DB8::1]:00080", "2001:db8::1", 80), ("[::ffff:127.0.0.1]", "127.0.0.1", nil),
            // RFC 3986 section 3.2.3: the port is *DIGIT.
            ("localhost:", "localhost", nil), ("[::1]:", "::1", nil),
        ])
    func valid(text: String, host: String, port: Int?) throws {
        let authority = try #require(Authority(text))
        #expect(authority.host.description == host)
        #expect(authority.port.map(Int.init) == port)
    }

    @Test(
        "is refused if RFC 3986 does not allow the host",
        arguments: [
            "", ":80", ".", "a%", "a%4", "a%zz", "%", "a b", "a\tb", "a/b", "a?b", "a#b", "u@a", "u:p@a", "a,b", "a\\b",
            "[", "[]", "[::1", "::1", "[:::::]", "[:::]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[12345::]",
            "[::g]",
            "[::1%25eth0]", "[fe80::1%eth0]", "[127.0.0.1]", "[localhost]", "[v1.a]", "[::1]a", "[::1]]", "a[::1]",
            "a:b", "a:-1", "a:+1", "a: 80", "a:80:80", "a:65536", "a:99999999999999999999", "é", "a\u{0}",
        ])
    func invalid(text: String) {
        #expect(Authority(text) == nil)
        // In a target these two characters end the host.
        guard !text.contains(where: { "/?".contains($0) }) else { return }
        #expect(parse("GET http://\(text)/ HTTP/1.1\r\nHost: a\r\n\r\n").requests.isEmpty)
    }

    @Test(
        "is answered with 400 if it is malformed in a Host field",
        arguments: ["a%", "[:::::]", "[::1%25lo]", "u@a", "a:99999", "[v1.a]", "a b"])
    func invalidField(text: String) {
        #expect(parse("GET / HTTP/1.1\r\nHost: \(text)\r\n\r\n").rejection?.status == .badRequest)
    }

    @Test("is a configured name in any case, and an address in any form")
    func names() throws {
        #expect(HostName("Tributary.Example.") == HostName("tributary.example"))
        #expect(HostName("::1") == HostName("[0::1]"))
        #expect(HostName("10.0.0.1")?.description == "10.0.0.1")
        for text in ["", "a:80", "http://a", "a/b", "[a]", "a,b", "*"] { #expect(HostName(text) == nil) }
    }
}

@Suite("A listener")
struct ServedHostsTests {
    private func hosts(_ names: [String], host: String = "127.0.0.1", at address: String) -> ServedHosts {
        ServedHosts(
            names.compactMap { HostName($0) }, host: host, listeningOn: SocketAddress(host: address, port: 8080))
    }

    @Test("on a loopback address serves this machine's own names and addresses, whatever the port")
    func own() {
        for address in ["127.0.0.1", "127.3.2.1", "::1"] {
            let hosts = hosts([], at: address)
            for authority in [
                "localhost", "LOCALHOST:1", "localhost.", "notebook.localhost:80", "127.0.0.1",
                "127.255.255.254:9",
                "[::1]:8080", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
            ] { #expect(hosts.contain(authority), "\(authority)") }
            #expect(hosts.contain(nil), "HTTP/1.0 without Host, which no browser sends")
        }
    }

    @Test("on a loopback address serves no other name, so that no web page can make its own name resolve to it")
    func others() {
        for address in ["127.0.0.1", "::1"] {
            let hosts = hosts(["tributary.example", "10.0.0.7"], at: address)
            for authority in [
                "rebound.example", "rebound.example:8080", "localhost.rebound.example", "notlocalhost",
                "127.0.0.1.nip.io",
                "xn--localhost", "0.0.0.0", "0", "2130706433", "127.1", "192.168.1.1", "[::]", "[fe80::1]",
                "localhos%74",
                "a.tributary.example",
            ] { #expect(!hosts.contain(authority), "\(authority)") }
            for authority in ["tributary.example", "TRIBUTARY.example.:443", "10.0.0.7:80"] {
                #expect(hosts.contain(authority), "\(authority)")
            }
        }
    }

    @Test("serves the name that it is configured to listen on")
    func listeningName() {
        #expect(hosts([], host: "my-machine", at: "127.0.1.1").contain("my-machine:8080"))
        #expect(!hosts([], host: "my-machine", at: "127.0.1.1").contain("other"))
    }

    @Test("that other machines can reach serves all names, or the configured ones and bare addresses")
    func reachable() {
        for address in ["0.0.0.0", "::", "192.0.2.1"] {
            #expect(hosts([], host: address, at: address).contain("any.example"))
            let named = hosts(["tributary.example"], host: address, at: address)
            for authority in ["tributary.example:80", "10.1.2.3:8080", "[2001:db8::1]", "localhost"] {
                #expect(named.contain(authority), "\(authority)")
            }
            #expect(!named.contain("any.example") && named.contain(nil))
        }
    }

    @Test(
        "answers 421 to a request for another host before its body, says what to do, and closes",
        .timeLimit(.minutes(5)))
    func misdirected() async throws {
        try await withServer(configuration: HTTPServerConfiguration(port: 0)) { port, _ in
            let heads = [
                "GET /hello HTTP/1.1\r\nHost: rebound.example\r\n\r\n",
                "GET http://rebound.example:\(port)/hello HTTP/1.1\r\nHost: localhost\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: rebound.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
                "POST /echo HTTP/1.1\r\nHost: rebound.example\r\nContent-Length: 5\r\n\r\nhello",
                "GET /hello HTTP/1.1\r\nHost: rebound.example\r\nX-Forwarded-Host: localhost\r\n\r\n",
            ]
            for head in heads {
                let client = try RawClient(port: port)
                let response = try client.exchange(head)
                #expect(response.status == 421 && response.problem == "/problems/misdirected-request")
                #expect(response.detail?.contains("\"rebound.example") == true)
                #expect(response.detail?.contains("server.host_names") == true)
                #expect(try response["connection"] == "close" && client.isAtEnd())
            }
            let client = try RawClient(port: port)
            #expect(try client.exchange("GET http://localhost/hello HTTP/1.1\r\nHost: other\r\n\r\n").status == 200)
            #expect(try client.exchange("GET /hello HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n").status == 200)
        }
    }

    @Test(
        "ignores X-Forwarded-Host, which a page can send, when it decides which hosts it serves",
        .timeLimit(.minutes(5)))
    func forwarded() async throws {
        let configuration = HTTPServerConfiguration.with {
            $0.trustedProxies = TrustedProxies([AddressBlock("127.0.0.1")].compactMap { $0 })
        }
        try await withServer(configuration: configuration) { port, _ in
            let rebound = "GET /hello HTTP/1.1\r\nHost: rebound.example\r\nX-Forwarded-Host: localhost\r\n\r\n"
            let refused = try RawClient(port: port).exchange(rebound)
            #expect(refused.status == 421)
            let proxied = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Host: tributary.example\r\n\r\n"
            let answered = try RawClient(port: port).exchange(proxied)
            #expect(answered.status == 200)
        }
    }
}
