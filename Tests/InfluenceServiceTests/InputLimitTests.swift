import Foundation
import JSON
import Testing

@testable import InfluenceService

/// What can be sent is taken from the description of the API: a field that is new is tested as soon as it is described.
@Suite("Every field of every call", .timeLimit(.minutes(30)))
struct InputLimitTests {
    /// Numbers at their extremes, and what is no number, as JSON.
    private static let extremes = [
        "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "4611686018427387904", "-9223372036854775809", "123456789012345678901234567890", "0",
        "-0",
        "-1", "1", "1.5", "1e3", "1e18", "1e308", "-1e308", "1e400", "-1e400", "1e-400", "5e-324", "true", "null",
        "\"7\"", "[]", "{}",
    ]

    private func inputs(_ server: TestServer) async throws -> [DescribedInput] {
        DescribedInput.all(in: try JSONReader.read(Array(try await server.client.get("/openapi.json").data)))
    }

    /// Sends a value, with everything else as it should be.
    private func send(_ value: JSONTree, as input: DescribedInput, to server: TestServer) async throws -> Reply {
        switch input.place {
        case .body(let place):
            return try await server.client.send(
                input.method, input.pattern, headers: ["Content-Type": "application/json"],
                body: Data(place(value).text.utf8))
        case .header:
            let body = "{\"prompt\": \"a\", \"completion\": \"b\", \"texts\": [\"c\"]}"
            return try await server.client.send(
                input.method, input.pattern.replacing("{id}", with: "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
                headers: ["Content-Type": "application/json", input.field: value.string ?? value.text],
                body: input.method == "POST" ? Data(body.utf8) : nil)
        case .path, .query:
            let text = try #require(
                (value.string ?? value.text).addingPercentEncoding(withAllowedCharacters: .alphanumerics))
            let path = input.pattern.replacing("{\(input.field)}", with: text).replacing("{version}", with: "1")
                .replacing("{name}", with: "a")
            let needed = input.pattern == "/v1/search" && input.field != "q" ? "&q=a" : ""
            let query = "?\(input.field)=\(text)\(needed)"
            return try await server.client.send(
                input.method, path + (input.field == "id" || path != input.pattern ? "" : query))
        }
    }

    /// Whether an answer refuses a field, or what it is in, or what is in it.
    private func refuses(_ field: String, _ reply: Reply) throws -> Bool {
        guard (400..<500).contains(reply.status) else { return false }
        let named = try JSONReader.read(Array(reply.data))["field"]?.string ?? ""
        // The two ends of a span are held against each other.
        let other = field.hasSuffix(".start") ? field.replacing(".start", with: ".end") : field
        return named == field || named == other || field.hasPrefix(named) || named.hasPrefix(field)
    }

    @Test("has its limits in the description")
    func bounds() async throws {
        try await TestServer.run { server in
            let inputs = try await inputs(server)
            #expect(inputs.count { $0.isNumeric } >= 20)
            for input in inputs {
                // What is added to the corpus is limited as a whole: by its bytes.
                let isRecord = input.pattern == "/v1/sequences" && input.method == "POST"
                switch input.schema["type"] {
                // A document's id in digits, which is no number to anyone.
                case "integer" where isRecord && input.field.hasSuffix("id"):
                    #expect(input.schema["minimum"] == nil && input.schema["maximum"] == nil, "\(input)")
                case "integer" where isRecord, "array" where isRecord: continue
                case "integer", "number":
                    #expect((input.schema["minimum"] ?? input.schema["exclusiveMinimum"]) != nil, "\(input)")
                    #expect((input.schema["maximum"] ?? input.schema["exclusiveMaximum"]) != nil, "\(input)")
                case "array": #expect(input.schema["maxItems"] != nil, "\(input)")
                case "string":
                    guard case .body = input.place, !isRecord else { continue }
                    #expect((input.schema["maxLength"] ?? input.schema["enum"]) != nil, "\(input)")
                default: Issue.record("\(input) is of no type")
                }
            }
        }
    }

    @Test("takes the ends of its limits, and refuses by name what is beyond them")
    func agreement() async throws {
        try await TestServer.run { server in
            for input in try await inputs(server) {
                // The engine reads records, and this server's takes them all.
                guard input.pattern != "/v1/sequences" || input.method != "POST" else { continue }
                for (value, isAllowed) in ends(of: input) {
                    let reply = try await send(value, as: input, to: server)
                    let shown = value.text.prefix(40)
                    #expect(reply.status < 500, "\(input) = \(shown): \(reply.text)")
                    let isRefused = try refuses(input.field, reply)
                    let named = isRefused ? try JSONReader.read(Array(reply.data))["field"]?.string : nil
                    if isAllowed {
                        // Another field, or the completion, may not go with it.
                        #expect(!isRefused || named != input.field, "\(input) = \(shown): \(reply.text)")
                    } else {
                        #expect(isRefused, "\(input) = \(shown): \(reply.status)")
                    }
                }
            }
        }
    }

    /// The values at the ends of a field's limits, and the next ones beyond them.
    private func ends(of input: DescribedInput) -> [(JSONTree, isAllowed: Bool)] {
        func number(_ keyword: String) -> String? {
            if case .number(let digits)? = input.schema[keyword] { digits } else { nil }
        }
        func whole(_ keyword: String) -> Int? { number(keyword).flatMap { Int($0) } }
        switch input.schema["type"] {
        case "integer":
            guard let low = number("minimum").flatMap({ Int128($0) }),
                let high = number("maximum").flatMap({ Int128($0) })
            else { return [] }
            return [(low, true), (high, true), (low - 1, false), (high + 1, false)].map { (.number("\($0)"), $1) }
        case "number":
            let (low, high) = (number("minimum").flatMap { Double($0) }, number("maximum").flatMap { Double($0) })
            let (above, below) = (
                number("exclusiveMinimum").flatMap { Double($0) }, number("exclusiveMaximum").flatMap { Double($0) }
            )
            let values = [
                (low, true), (high, true), (low?.nextDown, false), (high?.nextUp, false), (above, false),
                (above?.nextUp, true),
                (below, false), (below?.nextDown, true),
            ]
            return values.compactMap { value, isAllowed in value.map { (.number("\($0)"), isAllowed) } }
        case "array":
            guard let least = whole("minItems"), let most = whole("maxItems") else { return [] }
            return [(least, true), (most, true), (least - 1, false), (most + 1, false)].filter { $0.0 >= 0 }
                .map { (input.list(of: $0), $1) }
        case "string":
            guard let most = whole("maxLength") else { return [] }
            let least = whole("minLength") ?? 0
            return [(least, true), (most, true), (least - 1, false), (most + 1, false)].filter { $0.0 >= 0 }
                .map { (.string(String(repeating: "a", count: $0)), $1) }
        default: return []
        }
    }

    @Test("takes any number, or refuses it by name, and leaves nothing that harms the next start")
    func extremes() async throws {
        let folder = try TemporaryFolder()
        try await TestServer.run(in: folder) { server in
            // What is accepted waits, and is there at the next start.
            server.engine.hold()
            for input in try await inputs(server) where input.isNumeric || input.schema["enum"] == nil {
                // A waiting request for scores would never be answered.
                if input.pattern == "/v1/scores" { server.engine.release() } else { server.engine.hold() }
                for text in Self.extremes {
                    let value = try JSONReader.read(Array(text.utf8))
                    let reply = try await send(value, as: input, to: server)
                    #expect(
                        (200..<300).contains(reply.status) || (400..<500).contains(reply.status), "\(input) = \(text)")
                    guard case .body = input.place, reply.status >= 400 else { continue }
                    // A list that is null is absent: then a prompt is missing.
                    if value == .null, input.schema["type"] == "array" { continue }
                    #expect(try refuses(input.field, reply), "\(input) = \(text): \(reply.text)")
                }
            }
            #expect(try await server.client.get("/v1/jobs").status == 200)
        }
        try await TestServer.run(in: folder) { server in
            #expect(try await server.client.get("/v1/jobs?limit=1000").status == 200)
            _ = try await server.job(try await server.post("afterwards"), until: "succeeded")
        }
    }
}
