import Attribution
import Corpus
import JSON
import Logging
import Testing

@testable import InfluenceService

@Suite("The log", .timeLimit(.minutes(30)))
struct ServiceLogHandlerTests {
    /// The lines that a few events leave.
    private func lines(
        format: Configuration.Logging.Format, level: Logger.Level = .info, _ body: (inout Logger) -> Void
    ) -> [String] {
        let lines = LogLines()
        var logger = lines.logger(format: format, level: level)
        body(&logger)
        return lines.all
    }

    @Test("is a line an event for people, which no text can break in two")
    func text() {
        let lines = lines(format: .text) { logger in
            logger[metadataKey: "server"] = "a b"
            logger.info("job queued", metadata: ["job": "01", "text": "x\ny"])
            logger.debug("not shown")
        }
        #expect(lines.count == 1)
        #expect(lines[0].dropFirst(24) == " info: job queued job=01 server=\"a b\" text=\"x\\ny\"\n")
    }

    @Test("is a JSON object an event for programs")
    func json() throws {
        let lines = lines(format: .json, level: .warning) { logger in
            logger.warning(
                "a \"quoted\" word",
                metadata: [
                    "job_id": "01", "request_id": "r", "count": .stringConvertible(3), "level": "hidden",
                    "share": .stringConvertible(0.5), "list": ["a"], "map": ["b": "c\n"],
                ])
            logger.info("not shown")
        }
        #expect(lines.count == 1)
        guard case .object(let members) = try JSONReader.read(Array(lines[0].utf8)), members.first?.name == "timestamp"
        else {
            Issue.record("not an object with a time: \(lines)")
            return
        }
        #expect(
            .object(Array(members.dropFirst())) == [
                "level": "warning", "message": "a \"quoted\" word", "logger": "test", "request_id": "r", "job_id": "01",
                "count": 3, "list": ["a"], "map": ["b": "c\n"], "share": .number("0.5"),
            ] as JSONTree)
        #expect(lines[0].contains("\"request_id\":\"r\",\"job_id\":\"01\",\"count\":3,"))
        #expect(lines[0].hasSuffix("}\n") && lines[0].count { $0 == "\n" } == 1)
    }

    @Test("of a server never has a query's text")
    func noPrompts() async throws {
        let lines = LogLines()
        try await TestServer.run(logger: lines.logger(level: .trace)) { server in
            let path = try await server.post("secret", completion: " broken")
            _ = try await server.job(path, until: "failed")
            _ = try await server.client.post("/v1/influence", json: "{\"prompt\": \"secret\"}")
            _ = try await server.client.get("/v1/search?q=secret")
            _ = try await server.client.post("/v1/completions", json: "{\"prompt\": \"secret\"}")
        }
        #expect(lines.all.contains { $0.contains("job queued job_id=") || $0.contains("job queued request_id=") })
        #expect(!lines.all.contains { $0.contains("secret") })
    }
}
