import Foundation
import FoundationNetworking
import Testing

/// `tributary serve` as a process, on a free port.
final class TestServer: Sendable {
    let program: Program
    private let workspace: TestWorkspace

    /// - Parameter settings: Environment variables that set keys of the configuration.
    init(_ workspace: TestWorkspace, settings: [String: String] = [:]) throws {
        self.workspace = workspace
        program = try Program(
            ["serve", "--port", "0", "--workers", "1"] + workspace.options, in: workspace.folder,
            environment: settings)
    }

    /// Starts a server and waits until it answers queries.
    static func ready(_ workspace: TestWorkspace, settings: [String: String] = [:]) async throws -> TestServer {
        let server = try TestServer(workspace, settings: settings)
        try await server.program.wait(forError: "listening")
        while try await server.get("/readyz").status != 200 {
            try #require(server.program.isRunning, "\(server.program.errorSoFar)")
            try await Task.sleep(for: .milliseconds(10))
        }
        return server
    }

    /// Stops it as a service manager does.
    func stop() async throws -> Program.Outcome {
        program.send(SIGTERM)
        return try await program.outcome()
    }

    /// Its address and port, from its log.
    var host: String {
        get throws {
            let log = program.errorSoFar
            let start = try #require(log.firstRange(of: "addresses=[")).upperBound
            return String(log[start...].prefix { $0 != "]" })
        }
    }

    struct Answer {
        let status: Int
        let body: Data
        let location: String?
    }

    func get(_ path: String) async throws -> Answer {
        try await send(URLRequest(url: try #require(URL(string: try "http://" + host + path))))
    }

    func post(_ body: String, to path: String, prefer: String? = nil) async throws -> Answer {
        var request = URLRequest(url: try #require(URL(string: try "http://" + host + path)))
        request.httpMethod = "POST"
        request.httpBody = Data(body.utf8)
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue(prefer, forHTTPHeaderField: "Prefer")
        return try await send(request)
    }

    private func send(_ request: URLRequest) async throws -> Answer {
        let (body, response) = try await URLSession.shared.data(for: request)
        let answer = try #require(response as? HTTPURLResponse)
        return Answer(
            status: answer.statusCode, body: body, location: answer.value(forHTTPHeaderField: "Location"))
    }
}
