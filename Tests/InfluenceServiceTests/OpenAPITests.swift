import Foundation
import HTTP
import JSON
import Testing

@testable import InfluenceService

@Suite("The description of the API", .timeLimit(.minutes(30)))
struct OpenAPITests {
    /// Asks a server for the document.
    private func document(_ server: TestServer) async throws -> JSONTree {
        let reply = try await server.client.get("/openapi.json")
        #expect(reply.status == 200)
        #expect(reply.headers["content-type"] == "application/json")
        return try JSONReader.read(Array(reply.data))
    }

    @Test("has every call, and every parameter of its path")
    func calls() async throws {
        try await TestServer.run { server in
            let document = try await document(server)
            let paths = try #require(document["paths"])
            let list = try JSONReader.read(Array(try await server.client.get("/").data))
            let calls = try #require(list["calls"]?.elements)
            #expect(calls.count == 24)
            for call in calls {
                let path = try #require(call["path"]?.string)
                let method = try #require(call["method"]?.string).lowercased()
                let operation = try #require(paths[path]?[method], "\(method) \(path)")
                #expect(operation["summary"] == call["summary"])
                let named = path.split(separator: "/").filter { $0.hasPrefix("{") }.map {
                    String($0.dropFirst().dropLast())
                }
                let parameters = operation["parameters"]?.elements.filter { $0["in"] == "path" } ?? []
                #expect(parameters.compactMap { $0["name"]?.string } == named)
                #expect(parameters.allSatisfy { $0["required"] == true })
            }
            let described = paths.names.flatMap { path in paths[path]?.names.map { "\($0) \(path)" } ?? [] }
            #expect(described.count == calls.count)
            let identifiers = paths.names.flatMap { path in
                paths[path]?.names.compactMap { paths[path]?[$0]?["operationId"]?.string } ?? []
            }
            #expect(Set(identifiers).count == described.count)
        }
    }

    @Test("refers to nothing that it does not have, and names nothing that it does not use")
    func references() async throws {
        try await TestServer.run { server in
            let document = try await document(server)
            let validator = SchemaValidator(document: document)
            let references = Set(Self.references(in: document))
            for reference in references { #expect(validator.resolve(reference) != nil, "\(reference)") }
            for kind in ["schemas", "responses", "headers"] {
                for name in document["components"]?[kind]?.names ?? [] {
                    #expect(references.contains("#/components/\(kind)/\(name)"))
                }
            }
        }
    }

    private static func references(in tree: JSONTree) -> [String] {
        switch tree {
        case .object(let members):
            members.flatMap { $0.name == "$ref" ? [$0.value.string ?? ""] : references(in: $0.value) }
        case .array(let elements): elements.flatMap(references)
        default: []
        }
    }

    @Test("tells the status, the media type and the schema of what is answered")
    func answers() async throws {
        try await TestServer.run { server in
            let document = try await document(server)
            var answered: Set<String> = []
            for exchange in try await Self.exchanges(with: server) {
                let name = "\(exchange.method) \(exchange.pattern)"
                let operation = try #require(
                    document["paths"]?[exchange.pattern]?[exchange.method.lowercased()], "\(name)")
                let reply = exchange.reply
                var response = try #require(
                    operation["responses"]?[String(reply.status)], "\(name) \(reply.status) \(reply.text)")
                let validator = SchemaValidator(document: document)
                if let reference = response["$ref"]?.string { response = try #require(validator.resolve(reference)) }
                answered.insert("\(name) \(reply.status)")
                guard response["content"]?.names.isEmpty == false else {
                    #expect(reply.data.isEmpty, "\(name) \(reply.status)")
                    continue
                }
                let type = try #require(reply.headers["content-type"])
                let described = response["content"]?.names.first { type == $0 || type.hasPrefix($0 + ";") }
                let form = try #require(described.flatMap { response["content"]?[$0] }, "\(name) \(type)")
                let schema = try #require(form["schema"])
                if type.hasPrefix("text/event-stream") {
                    // OpenAPI 3.1 describes content as a whole: a client that took it for an object could read none of it.
                    #expect(schema["type"] == "string")
                    let item = try #require(schema["x-itemSchema"])
                    let events = Self.events(in: reply.text)
                    #expect(!events.isEmpty)
                    for event in events { #expect(validator.mistakes(in: event, item).isEmpty, "\(event.text)") }
                }
                if type.hasSuffix("json"), !type.contains("ndjson") {
                    let value = try JSONReader.read(Array(reply.data))
                    let mistakes = validator.mistakes(in: value, schema)
                    #expect(mistakes.isEmpty, "\(name) \(mistakes)")
                }
                for header in response["headers"]?.names ?? []
                where reply.status < 400 && !["Preference-Applied", "Idempotent-Replayed"].contains(header) {
                    #expect(reply.headers[header.lowercased()] != nil, "\(name) \(header)")
                }
            }
            // Every call's every answer that is not a problem has been seen.
            for path in document["paths"]?.names ?? [] {
                for method in document["paths"]?[path]?.names ?? [] {
                    let statuses = document["paths"]?[path]?[method]?["responses"]?.names.filter { $0.hasPrefix("2") }
                    for status in statuses ?? [] {
                        #expect(answered.contains("\(method.uppercased()) \(path) \(status)"))
                    }
                }
            }
        }
    }

    /// The events of a stream as objects of their fields. (HTML, section 9.2.6)
    private static func events(in text: String) -> [JSONTree] {
        text.components(separatedBy: "\n\n").compactMap { block in
            let fields = block.split(separator: "\n").filter { !$0.hasPrefix(":") && !$0.hasPrefix("retry:") }
            let members = fields.map { field in
                let parts = field.split(separator: ":", maxSplits: 1)
                return JSONTree.Member(
                    name: String(parts[0]), value: .string(parts.count > 1 ? String(parts[1].dropFirst()) : ""))
            }
            return members.isEmpty ? nil : .object(members)
        }
    }

    private struct Exchange {
        var method: String
        var pattern: String
        var reply: Reply
    }

    /// What the server answers to requests of all kinds, good and bad.
    private static func exchanges(with server: TestServer) async throws -> [Exchange] {
        let client = server.client
        var exchanges: [Exchange] = []
        func get(_ pattern: String, _ path: String? = nil, _ headers: [String: String] = [:]) async throws {
            exchanges.append(
                Exchange(
                    method: "GET", pattern: pattern, reply: try await client.get(path ?? pattern, headers: headers)))
        }
        func post(_ pattern: String, _ json: String, _ headers: [String: String] = [:]) async throws {
            exchanges.append(
                Exchange(
                    method: "POST", pattern: pattern,
                    reply: try await client.post(pattern, json: json, headers: headers)))
        }
        let query = "{\"prompt\": \"a\", \"completion\": \"b\"}"
        let wait = ["Prefer": "wait=600"]
        for path in ["/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/problems", "/v1/model"] {
            try await get(path)
            try await get(path, path + "?unknown=1")
        }
        try await get("/", nil, ["Accept": "text/html"])
        let version = try Dashboard.installed().version
        try await get("/dashboard/{version}/{name}", "/dashboard/\(version)/app.js")
        try await get("/dashboard/{version}/{name}", "/dashboard/\(version)/nothing.js")
        try await get("/client.py")
        try await get("/problems/{name}", "/problems/unknown-job")
        try await get("/problems/{name}", "/problems/nothing")
        try await post("/v1/influence", query)
        try await post("/v1/influence", query, wait)
        let part = #"{"prompt": "a", "completion": "b", "contrast": "c", "weight": 2}"#
        let behaviour = #"{"measurement": [\#(part), {"prompt": "d", "completion": "e"}], "combine": "sum"}"#
        try await post("/v1/influence", behaviour, wait)
        try await post("/v1/influence", "[\(behaviour), \(query)]", wait)
        try await post("/v1/influence", #"{"measurement": [{"prompt": "a", "completion": " broken"}]}"#, wait)
        try await post("/v1/influence", #"[{"measurement": [{"prompt": "a", "completion": " broken"}]}]"#, wait)
        let chat = #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#
        try await post("/v1/influence", chat, wait)
        try await post("/v1/influence", #"{"measurement": [\#(part), \#(chat)], "drop_turns": true}"#, wait)
        try await post("/v1/influence", #"{"prompt": "a", "completion": "b", "all_scores": true}"#, wait)
        let kept = try #require(exchanges.last?.reply.headers["content-location"]).replacing("/result", with: "/scores")
        try await get("/v1/jobs/{id}/scores", kept)
        try await get("/v1/jobs/{id}/scores", kept, ["Accept": "application/x-npy"])
        try await get("/v1/jobs/{id}/scores", kept + "?query=7")
        try await get("/v1/jobs/{id}/scores/ids", kept + "/ids")
        try await post("/v1/scores", #"{"texts": ["c"], "measurement": [\#(part)]}"#)
        try await post("/v1/influence", "[\(query), {\"prompt\": \"a\", \"completion\": \" broken\"}]", wait)
        try await post("/v1/influence", query, wait.merging(["Accept": "text/csv"]) { $1 })
        try await post("/v1/influence", "{\"prompt\": \"a\", \"completion\": \" broken\"}", wait)
        try await post("/v1/influence", "{\"prompt\": \"a\", \"completion\": \" unusable\"}")
        for bad in ["{", "[]", "{}"] { try await post("/v1/influence", bad) }
        try await post("/v1/influence", query, ["Content-Type": "text/plain"])
        try await post("/v1/scores", "{\"prompt\": \"a\", \"completion\": \"b\", \"texts\": [\"c\"]}")
        try await post("/v1/scores", query)
        let job = try #require(try exchanges.first { $0.reply.status == 202 }?.reply.string("id"))
        _ = try await server.job("/v1/jobs/\(job)", until: "succeeded")
        try await get("/v1/jobs")
        try await get("/v1/jobs", "/v1/jobs?limit=1&status=succeeded")
        try await get("/v1/jobs", "/v1/jobs?limit=0")
        for name in [job, "nothing"] {
            try await get("/v1/jobs/{id}", "/v1/jobs/\(name)")
            for type in ["application/json", "text/csv", "application/x-ndjson", "image/png"] {
                try await get("/v1/jobs/{id}/result", "/v1/jobs/\(name)/result", ["Accept": type])
            }
            for seen in ["", "succeeded-1-3-end"] {
                try await get("/v1/jobs/{id}/events", "/v1/jobs/\(name)/events", ["Last-Event-ID": seen])
            }
        }
        let results = exchanges.filter { $0.pattern == "/v1/jobs/{id}/result" }
        let tag = try #require(results.compactMap { $0.reply.headers["etag"] }.first)
        try await get("/v1/jobs/{id}/result", "/v1/jobs/\(job)/result", ["If-None-Match": tag])
        #expect(exchanges.last?.reply.status == 304)
        server.engine.hold()
        let held = try await server.post("held")
        _ = try await server.job(held, until: "running")
        try await get("/v1/jobs/{id}", held)
        try await get("/v1/jobs/{id}/result", held + "/result")
        for path in [held, held, "/v1/jobs/\(job)", "/v1/jobs/nothing"] {
            exchanges.append(
                Exchange(method: "DELETE", pattern: "/v1/jobs/{id}", reply: try await client.send("DELETE", path)))
        }
        try await get("/v1/jobs/{id}/result", held + "/result")
        server.engine.release()
        try await post("/v1/completions", "{\"prompt\": \"a\"}")
        try await post("/v1/completions", "{\"prompt\": \"\"}")
        try await post("/v1/sequences", "{\"text\": \"a\"}")
        for row in [
            #"{"prompt": "a", "completion": "b"}"#, #"{"text": "abc", "loss": [{"start": 1, "end": 2}]}"#,
            #"{"messages": [{"role": "assistant", "content": "b"}]}"#, #"{"input_ids": [1, 2], "labels": [-100, 2]}"#,
        ] { try await post("/v1/sequences", row) }
        for word in ["unusable", "malformed", "many", "full", "broken"] {
            try await post("/v1/sequences", "{\"text\": \"\(word)\"}")
        }
        try await post("/v1/sequences", "{\"text\": \"a\"}", ["Content-Type": "application/x-ndjson"])
        try await post("/v1/sequences", "{\"text\": \"a\"}", ["Content-Type": "text/csv"])
        try await post("/v1/sequences", "{\"text\": \"a\"}", ["Content-Encoding": "gzip"])
        try await get("/v1/sequences")
        try await get("/v1/sequences", "/v1/sequences?limit=1&source=wiki")
        try await get("/v1/sequences", "/v1/sequences?cursor=x")
        try await get("/v1/sequences/{id}", "/v1/sequences/wiki%3A%C3%8Ele%20de%20France%2FParis%232%20%3F")
        try await get("/v1/sequences/{id}", "/v1/sequences/nothing")
        for query in ["?q=a", "?q=", "?q=crash", ""] { try await get("/v1/search", "/v1/search" + query) }
        return exchanges
    }

    @Test("says which calls want a token, and of what scope")
    func security() async throws {
        for isRequired in [false, true] {
            let folder = try TemporaryFolder()
            let (token, _) = AccessToken.create(name: "a", scope: .read)
            try TokenFile(folder.url.appending(path: TokenFile.name)).add(token)
            try await TestServer.run(in: folder) {
                $0.authentication.required = isRequired ? .always : .auto
            } test: { server in
                let document = try await document(server)
                let paths = try #require(document["paths"])
                #expect(document["components"]?["securitySchemes"]?["bearer"]?["scheme"] == "bearer")
                for (method, path, scope) in [
                    ("post", "/v1/influence", "query"), ("delete", "/v1/jobs/{id}", "query"),
                    ("post", "/v1/sequences", "admin"), ("get", "/v1/sequences", "read"), ("get", "/metrics", "read"),
                ] {
                    let requirement: JSONTree = ["bearer": [.string(scope)]]
                    let operation = paths[path]?[method]
                    #expect(operation?["security"] == (isRequired ? [requirement] : [requirement, [:]]))
                    #expect(operation?["responses"]?["401"] != nil)
                }
                for path in ["/", "/healthz", "/readyz", "/openapi.json", "/problems", "/problems/{name}"] {
                    #expect(paths[path]?["get"]?["security"] == [])
                    #expect(paths[path]?["get"]?["responses"]?["401"] == nil)
                    #expect(try await server.client.get(path.replacing("{name}", with: "starting")).status == 200)
                }
                let unnamed = try await server.client.get("/v1/jobs")
                #expect(unnamed.status == (isRequired ? 401 : 200))
            }
        }
    }

    @Test("tells what is answered while the server starts, and when it could not")
    func starting() async throws {
        try await TestServer.run(isReady: false) { server in
            let document = try await document(server)
            let validator = SchemaValidator(document: document)
            for _ in 0..<2 {
                for path in ["/readyz", "/v1/model", "/v1/search", "/v1/sequences"] {
                    let reply = try await server.client.get(path + (path == "/v1/search" ? "?q=a" : ""))
                    #expect(reply.status == 503)
                    let response = try #require(document["paths"]?[path]?["get"]?["responses"]?["503"])
                    let type = try #require(reply.headers["content-type"])
                    let schema = try #require(response["content"]?[type]?["schema"], "\(path) \(type)")
                    #expect(validator.mistakes(in: try JSONReader.read(Array(reply.data)), schema).isEmpty)
                }
                server.service.fail(starting: JobStoreError.diskFull(file: "factors"))
            }
        }
    }
}
