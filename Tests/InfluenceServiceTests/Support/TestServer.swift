import Attribution
import Corpus
import Foundation
import FoundationNetworking
import JSON
import Logging
import TestScratch
import Testing

@testable import InfluenceService

typealias TemporaryFolder = TestScratch.TemporaryFolder

/// A service on a free port of this machine, with an engine that does as the test says.
final class TestServer: Sendable {
    let engine = FakeEngine()
    let service: Service
    let client: TestClient

    /// Runs a test against a server, and stops it.
    static func run(
        in folder: TemporaryFolder? = nil, isReady: Bool = true,
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        _ configure: (inout Configuration) -> Void = { _ in }, test: (TestServer) async throws -> Void
    ) async throws {
        let folder = try folder ?? TemporaryFolder()
        var configuration = Configuration()
        configuration.server.port = 0
        configuration.batching.windowMilliseconds = 0
        // No test is to fail for the slowness of a busy machine.
        configuration.jobs.maximumWaitSeconds = 3_600
        configuration.server.headerTimeoutSeconds = 3_600
        configuration.server.bodyTimeoutSeconds = 3_600
        configuration.server.idleTimeoutSeconds = 3_600
        configure(&configuration)
        let server = try await TestServer(configuration, folder: folder, logger: logger)
        do {
            if isReady { try await server.service.become(ready: server.engine) }
            try await test(server)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private init(_ configuration: Configuration, folder: TemporaryFolder, logger: Logger) async throws {
        service = try Service(configuration: configuration, workspace: folder.url, logger: logger)
        let addresses = try await service.start()
        client = TestClient(address: try #require(addresses.first).description)
    }

    private func stop() async {
        engine.release()
        await service.shutdown(grace: .seconds(600))
    }

    /// Posts a query and returns its job's path.
    func post(_ prompt: String, completion: String = " Paris") async throws -> String {
        let reply = try await client.post(
            "/v1/influence", json: "{\"prompt\": \"\(prompt)\", \"completion\": \"\(completion)\"}")
        #expect(reply.status == 202)
        return try #require(reply.headers["location"])
    }

    /// Asks for a job until it has a status.
    func job(_ path: String, until status: String) async throws -> Reply {
        while true {
            let reply = try await client.get(path)
            if try reply.string("status") == status { return reply }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// How many clients follow a job's events.
    func followerCount(of path: String) -> Int {
        JobIdentifier(path.split(separator: "/").last ?? "").map(service.store.board.followerCount) ?? 0
    }

    /// Waits until the engine has been asked for as many sweeps.
    func sweeps(_ count: Int) async throws {
        while engine.sweeps.count < count { try await Task.sleep(for: .milliseconds(2)) }
    }
}

/// A plain client of HTTP.
struct TestClient: Sendable {
    let address: String
    private let session: URLSession

    init(address: String) {
        self.address = address
        let configuration = URLSessionConfiguration.ephemeral
        configuration.httpMaximumConnectionsPerHost = 64
        configuration.timeoutIntervalForRequest = 3_600
        session = URLSession(configuration: configuration)
    }

    func get(_ path: String, headers: [String: String] = [:]) async throws -> Reply {
        try await send("GET", path, headers: headers)
    }

    func post(_ path: String, json: String, headers: [String: String] = [:]) async throws -> Reply {
        let headers = headers.merging(["Content-Type": "application/json"]) { given, _ in given }
        return try await send("POST", path, headers: headers, body: Data(json.utf8))
    }

    func send(
        _ method: String, _ path: String, headers: [String: String] = [:], body: Data? = nil
    ) async throws -> Reply {
        var request = URLRequest(url: try #require(URL(string: "http://\(address)\(path)")))
        request.httpMethod = method
        request.httpBody = body
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await session.data(for: request)
        return Reply(data: data, response: try #require(response as? HTTPURLResponse))
    }
}

/// What a server answered.
struct Reply: Sendable {
    let status: Int
    /// By name in small letters.
    let headers: [String: String]
    let data: Data

    init(data: Data, response: HTTPURLResponse) {
        self.data = data
        status = response.statusCode
        let pairs = response.allHeaderFields.map { ("\($0.key)".lowercased(), "\($0.value)") }
        headers = Dictionary(pairs) { first, _ in first }
    }

    var text: String { String(decoding: data, as: UTF8.self) }

    /// The value at a path such as "timings.batch.size" or "results.0.error".
    func value(_ path: String) throws -> JSONTree? {
        var value: JSONTree? = try JSONReader.read(Array(data))
        for part in path.split(separator: ".") {
            switch value {
            case .object: value = value?[String(part)]
            case .array(let elements): value = Int(part).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
            default: return nil
            }
        }
        return value
    }

    func string(_ path: String) throws -> String? {
        if case .string(let text) = try value(path) { text } else { nil }
    }

    func integer(_ path: String) throws -> Int? {
        if case .number(let digits) = try value(path) { Int(digits) } else { nil }
    }

    func count(_ path: String) throws -> Int? {
        if case .array(let elements) = try value(path) { elements.count } else { nil }
    }

    /// Checks that this is a problem of a type, with the members that each has.
    func expectProblem(
        _ type: String, status: Int, field: String? = nil, says words: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(self.status == status, "\(text)", sourceLocation: sourceLocation)
        #expect(headers["content-type"] == "application/problem+json", sourceLocation: sourceLocation)
        #expect(try string("type") == "/problems/\(type)", sourceLocation: sourceLocation)
        #expect(try integer("status") == status, sourceLocation: sourceLocation)
        #expect(try string("title")?.isEmpty == false, sourceLocation: sourceLocation)
        #expect(try string("field") == field, sourceLocation: sourceLocation)
        if let words {
            #expect(try string("detail")?.contains(words) == true, "\(text)", sourceLocation: sourceLocation)
        }
    }
}
