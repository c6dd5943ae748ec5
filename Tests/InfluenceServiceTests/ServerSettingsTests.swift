import Foundation
import HTTP
import Testing

@testable import InfluenceService

@Suite("The server's settings", .timeLimit(.minutes(30)))
struct ServerSettingsTests {
    @Test(
        "take lists as YAML has them, or as one text with commas",
        arguments: ["[10.0.0.0/8, '::1']", "\"10.0.0.0/8, ::1\"", "\n    - 10.0.0.0/8\n    - ::1"])
    func lists(value: String) throws {
        let configuration = try Configuration(yaml: "server:\n  trusted_proxies: \(value)\n", file: "a.yaml")
        #expect(configuration.server.trustedProxies.map(\.description) == ["10.0.0.0/8", "::1"])
        var other = Configuration()
        try other.apply(environment: ["TRIBUTARY__SERVER__TRUSTED_PROXIES": "10.0.0.0/8,::1"])
        #expect(other == configuration)
        let setting = try #require(ConfigurationSetting.named("server.trusted_proxies"))
        #expect(setting.value(in: configuration) == "10.0.0.0/8,::1" && setting.value(in: Configuration()) == nil)
    }

    @Test("take an empty list for none", arguments: ["[]", "null", "\"\""])
    func empty(value: String) throws {
        #expect(try Configuration(yaml: "server:\n  cors_origins: \(value)\n", file: "a.yaml") == Configuration())
    }

    @Test(
        "refuse what is no list of such",
        arguments: [
            (
                "trusted_proxies: [10.0.0.1/8]",
                "a list of addresses and blocks such as 10.0.0.0/8, but is \"10.0.0.1/8\""
            ),
            ("trusted_proxies: [[localhost]]", "a list of addresses and blocks such as 10.0.0.0/8, but is a list"),
            ("trusted_proxies: localhost", "a list of addresses and blocks such as 10.0.0.0/8, but is \"localhost\""),
            (
                "cors_origins: [https://a.example/]",
                "a list of origins such as https://notebook.example, or \"*\", but is \"https://a.example/\""
            ),
            (
                "host_names: [https://a.example]",
                "a list of names such as tributary.example, without ports, but is \"https://a.example\""
            ),
            (
                "host_names: [a.example:80]",
                "a list of names such as tributary.example, without ports, but is \"a.example:80\""
            ),
            ("compression: br", "one of gzip, none, but is \"br\""),
            ("tls_minimum_version: 1.1", "one of 1.2, 1.3, but is \"1.1\""),
        ])
    func wrongValues(line: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(yaml: "server:\n  \(line)\n", file: "a.yaml")
        }
        let key = line.prefix { $0 != ":" }
        #expect(error?.description == "a.yaml, line 2: server.\(key) must be \(message)")
    }

    @Test("reach the server, each of them")
    func complete() throws {
        var settings = Configuration.Server()
        settings.host = "::1"
        settings.port = 1
        settings.tlsCertificate = "c"
        settings.tlsKey = "k"
        settings.tlsMinimumVersion = .tls13
        settings.trustedProxies = [AddressBlock("10.0.0.1")].compactMap { $0 }
        settings.hostNames = [HostName("tributary.example")].compactMap { $0 }
        settings.ioThreads = 3
        settings.maximumConnections = 4
        settings.maximumConnectionsPerAddress = 5
        settings.backlog = 6
        settings.maximumTargetBytes = 7
        settings.maximumHeaderFields = 8
        settings.maximumHeaderBytes = 9
        settings.maximumBodyBytes = 10
        settings.maximumBodyBytesInFlight = 11
        settings.headerTimeoutSeconds = 12
        settings.bodyTimeoutSeconds = 13
        settings.minimumBodyBytesPerSecond = 14
        settings.idleTimeoutSeconds = 15
        settings.writeTimeoutSeconds = 16
        var expected = HTTPServerConfiguration(host: "::1", port: 1)
        expected.threads = 3
        expected.maximumConnections = 4
        expected.maximumConnectionsPerAddress = 5
        expected.backlog = 6
        expected.trustedProxies = TrustedProxies(settings.trustedProxies)
        expected.hostNames = settings.hostNames
        expected.tls = TLSConfiguration(certificateFile: "c", keyFile: "k", minimumVersion: .tls13)
        expected.limits = RequestLimits(targetBytes: 7, headerBytes: 9, headerCount: 8, bodyBytes: 10)
        expected.maximumBodyBytesInFlight = 11
        expected.timeouts.header = .seconds(12)
        expected.timeouts.body = .seconds(13)
        expected.timeouts.minimumBodyRate = 14
        expected.timeouts.idle = .seconds(15)
        expected.timeouts.write = .seconds(16)
        #expect(try HTTPServerConfiguration(settings) == expected)
    }

    @Test("want certificate and key together")
    func tls() {
        var settings = Configuration.Server()
        settings.tlsCertificate = "/etc/tls/fullchain.pem"
        #expect(
            throws: ConfigurationError.wrongValue(
                key: "server.tls_key", origin: .caller, expected: "a path if server.tls_certificate is set",
                found: "null")
        ) { try HTTPServerConfiguration(settings) }
        settings = Configuration.Server()
        settings.tlsKey = "/etc/tls/key.pem"
        #expect(throws: ConfigurationError.self) { try HTTPServerConfiguration(settings) }
    }

    @Test("let pages of other origins in, and compress long answers")
    func middleware() async throws {
        try await TestServer.run {
            $0.server.corsOrigins = ["https://notebook.example"]
        } test: { server in
            let fields = ["Origin": "https://notebook.example", "Access-Control-Request-Method": "POST"]
            let preflight = try await server.client.send("OPTIONS", "/v1/influence", headers: fields)
            #expect(preflight.status == 204)
            #expect(preflight.headers["access-control-allow-origin"] == "https://notebook.example")
            let long = try await server.client.get("/openapi.json", headers: ["Accept-Encoding": "gzip"])
            #expect(long.headers["vary"]?.contains("Accept-Encoding") == true)
            #expect(try long.string("openapi") == "3.1.0", "URLSession decompresses")
        }
    }
}
