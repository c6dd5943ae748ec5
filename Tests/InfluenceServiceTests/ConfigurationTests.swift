import Foundation
import Testing
import Yams

@testable import InfluenceService

@Suite("The configuration", .timeLimit(.minutes(30)))
struct ConfigurationTests {
    private static let committedFile = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../config/tributary.yaml").standardizedFileURL

    @Test("file in the repository holds exactly the defaults, and every key")
    func committedFile() throws {
        #expect(try Configuration(file: Self.committedFile) == Configuration())
        let root = try #require(
            try Yams.compose(yaml: String(contentsOf: Self.committedFile, encoding: .utf8))?.mapping)
        var keys: [String] = []
        var values: [String: String?] = [:]
        for (section, entries) in root {
            for (name, value) in try #require(entries.mapping) {
                let key = "\(section.string ?? "").\(name.string ?? "")"
                keys.append(key)
                values[key] = value.null == nil ? value.string : .some(nil)
            }
        }
        #expect(keys == ConfigurationSetting.all.map(\.key))
        for setting in ConfigurationSetting.all {
            let defaultText = setting.value(in: Configuration())
            let text = values[setting.key] ?? "missing"
            #expect(text == defaultText || text.flatMap(Double.init) == defaultText.flatMap(Double.init))
        }
    }

    @Test("file has a comment over every group of keys")
    func comments() throws {
        let lines = try String(contentsOf: Self.committedFile, encoding: .utf8).split(separator: "\n")
        for (index, line) in lines.enumerated().dropFirst() where line.hasPrefix("  ") && !line.contains("#") {
            var above = index - 1
            while above > 0, !lines[above].contains("#"), lines[above].hasPrefix("  ") { above -= 1 }
            #expect(lines[above].contains("#"), "no comment over \(line)")
        }
    }

    @Test("takes what a file names and keeps the other defaults")
    func overrides() throws {
        let configuration = try Configuration(
            yaml:
                "server:\n  port: 9000\n  idle_timeout_seconds: 2.5\nmodel:\n  path: 123\nlogging:\n  format: json\njobs:\n",
            file: "a.yaml")
        var expected = Configuration()
        expected.server.port = 9_000
        expected.server.idleTimeoutSeconds = 2.5
        expected.model.path = "123"
        expected.logging.format = .json
        #expect(configuration == expected)
        #expect(try Configuration(yaml: "# nothing\n", file: "a.yaml") == Configuration())
    }

    @Test("refuses an unknown key by file, line and name")
    func unknownKeys() {
        let key = #expect(throws: ConfigurationError.self) {
            try Configuration(yaml: "server:\n  host: ::1\n  prot: 9000\n", file: "a.yaml")
        }
        #expect(
            key?.description.hasPrefix("a.yaml, line 3: unknown key \"server.prot\"; the known keys are server.host, ")
                == true)
        let section = #expect(throws: ConfigurationError.self) {
            try Configuration(yaml: "sever: {}\n", file: "a.yaml")
        }
        #expect(section?.description.hasPrefix("a.yaml, line 1: unknown key \"sever\"") == true)
    }

    @Test(
        "refuses a value of the wrong type by file, line, key and what is expected",
        arguments: [
            (
                "server:\n  port: eighty",
                "a.yaml, line 2: server.port must be a whole number from 0 to 65535, but is \"eighty\""
            ),
            (
                "server:\n  port: 65536",
                "a.yaml, line 2: server.port must be a whole number from 0 to 65535, but is \"65536\""
            ),
            (
                "server:\n  port: \"80\"",
                "a.yaml, line 2: server.port must be a whole number from 0 to 65535, but is \"80\""
            ),
            (
                "server:\n  port: null",
                "a.yaml, line 2: server.port must be a whole number from 0 to 65535, but is null"
            ),
            (
                "server:\n  host: [a]",
                "a.yaml, line 2: server.host must be an address or host name to listen on, but is a list"
            ),
            (
                "jobs:\n  keep_days: .nan",
                "a.yaml, line 2: jobs.keep_days must be a number of days from 0.001 to 36500, but is \".nan\""
            ),
            ("logging:\n  format: xml", "a.yaml, line 2: logging.format must be one of text, json, but is \"xml\""),
            ("server: 80", "a.yaml, line 1: server must be a section, but is \"80\""),
        ])
    func wrongTypes(yaml: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) { try Configuration(yaml: yaml, file: "a.yaml") }
        #expect(error?.description == message)
    }

    @Test(
        "refuses what is not YAML by file and line",
        arguments: [("server:\n  port: [1\n", 3), ("server:\n  port: 1\n  port: 2\n", 2), ("server:\n\tport: 1\n", 2)])
    func malformed(yaml: String, line: Int) {
        let error = #expect(throws: ConfigurationError.self) { try Configuration(yaml: yaml, file: "a.yaml") }
        #expect(
            error?.description.hasPrefix("a.yaml, line \(line): cannot be read as YAML: ") == true,
            "\(String(describing: error))")
    }

    @Test("names a file that is not there")
    func missingFile() {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration(file: URL(filePath: "/nowhere/a.yaml"))
        }
        #expect(error?.description.hasPrefix("/nowhere/a.yaml: cannot be read") == true)
    }

    @Test("takes environment variables with two underscores, and leaves others alone")
    func environment() throws {
        var configuration = Configuration()
        try configuration.apply(environment: [
            "TRIBUTARY__SERVER__PORT": "9001", "TRIBUTARY__BATCHING__WINDOW_MILLISECONDS": "0",
            "TRIBUTARY_SERVER_PORT": "tcp://10.0.0.1:80", "HOME": "/root",
        ])
        #expect(configuration.server.port == 9_001)
        #expect(configuration.batching.windowMilliseconds == 0)
        let wrong = #expect(throws: ConfigurationError.self) {
            try configuration.apply(environment: ["TRIBUTARY__SERVER__PORT": "x"])
        }
        #expect(
            wrong?.description.hasPrefix("environment variable TRIBUTARY__SERVER__PORT: server.port must be") == true)
        #expect(throws: ConfigurationError.self) {
            try configuration.apply(environment: ["TRIBUTARY__SERVER__PROT": "1"])
        }
        #expect(configuration.server.port == 9_001)
    }

    @Test("can be set by key, as the command line does")
    func settings() throws {
        var configuration = Configuration()
        try configuration.set("workspace.path", to: "/data")
        #expect(configuration.workspace.path == "/data")
        #expect(throws: ConfigurationError.self) { try configuration.set("workspace.pth", to: "/data") }
    }
}
