import Attribution
import Foundation
import Testing

@Suite("tributary serve", .timeLimit(.minutes(10)))
struct ServeTests {
    private struct Job: Decodable {
        let status: String
        let attempts: Int
    }

    private struct List: Decodable {
        let results: [InfluenceResult]
    }

    /// The scores of each query, by sequence.
    private func scores(_ json: Data) throws -> [[String: Double]] {
        try JSONDecoder().decode(List.self, from: json).results.map { result in
            Dictionary(uniqueKeysWithValues: result.sequences.map { ($0.id, $0.score) })
        }
    }

    private static func queries(_ count: Int) -> String {
        let queries = (0..<count).map { index in
            """
            {"prompt": "The city number \(index) is known for", "completion": " green roofs", "rank": "full",
             "candidates": {"prefilter": "all"}, "top_k": 10, "direction": "both", "attribution": {"tokens": true}}
            """
        }
        return "[\(queries.joined(separator: ","))]"
    }

    @Test("answers a query, and ends with status 0 when it is told to stop")
    func answers() async throws {
        let server = try await TestServer.ready(try await TestWorkspace())
        let answer = try await server.post(
            "{\"prompt\": \"The city Arden is known for\", \"completion\": \" red roofs\", \"top_k\": 3}",
            to: "/v1/influence", prefer: "wait=60")
        #expect(answer.status == 200)
        #expect(try JSONDecoder().decode(InfluenceResult.self, from: answer.body).sequences.count == 3)
        let outcome = try await server.stop()
        #expect(outcome.status == 0, "\(outcome.error)")
        #expect(outcome.output == "")
        // Never the text of a query.
        #expect(!outcome.error.contains("Arden"))
    }

    @Test("gives the answer of tributary query")
    func sameAsQuery() async throws {
        let workspace = try await TestWorkspace()
        let server = try await TestServer.ready(workspace)
        let answer = try await server.post(
            "{\"prompt\": \"The city Esk is known for\", \"completion\": \" yellow roofs\", \"top_k\": 4}",
            to: "/v1/influence", prefer: "wait=60")
        _ = try await server.stop()
        let query = try await workspace.runToSuccess([
            "query", "--prompt", "The city Esk is known for", "--completion", " yellow roofs", "--top-k", "4",
            "--format",
            "json", "--workers", "1",
        ])
        let served = try JSONDecoder().decode(InfluenceResult.self, from: answer.body)
        let own = try JSONDecoder().decode(InfluenceResult.self, from: Data(query.output.utf8))
        #expect(served.query == own.query)
        #expect(served.sequences == own.sequences)
    }

    @Test("refuses a workspace that another server has, and names its process")
    func secondServer() async throws {
        let workspace = try await TestWorkspace()
        let server = try await TestServer.ready(workspace)
        let second = try await Program.run(["serve", "--port", "0"] + workspace.options, in: workspace.folder)
        expectFailure(second, saying: workspace.path, "process \(server.program.processIdentifier)")
        #expect(try await server.get("/readyz").status == 200)
        _ = try await server.stop()
    }

    @Test(
        "has a job that it was killed with at the next start, and finishes it with the scores of an undisturbed run",
        arguments: ["queued", "running"])
    func killed(while status: String) async throws {
        let workspace = try await TestWorkspace()
        let body = Self.queries(120)
        let fast = ["TRIBUTARY__BATCHING__WINDOW_MILLISECONDS": "0", "TRIBUTARY__BATCHING__MAXIMUM_QUERIES": "2"]
        let slow = [
            "TRIBUTARY__BATCHING__WINDOW_MILLISECONDS": "60000", "TRIBUTARY__BATCHING__MAXIMUM_QUERIES": "1000",
        ]

        let first = try await TestServer.ready(workspace, settings: status == "queued" ? slow : fast)
        let accepted = try await first.post(body, to: "/v1/influence")
        #expect(accepted.status == 202)
        let path = try #require(accepted.location)
        var job = try JSONDecoder().decode(Job.self, from: try await first.get(path).body)
        while job.status != status {
            try #require(["queued", "running"].contains(job.status))
            job = try JSONDecoder().decode(Job.self, from: try await first.get(path).body)
        }
        first.program.send(SIGKILL)
        #expect(try await first.program.outcome().status == 128 + SIGKILL)

        let second = try await TestServer.ready(workspace, settings: fast)
        repeat {
            job = try JSONDecoder().decode(Job.self, from: try await second.get(path).body)
            try await Task.sleep(for: .milliseconds(10))
        } while ["queued", "running"].contains(job.status)
        #expect(job.status == "succeeded")
        #expect(job.attempts == (status == "queued" ? 1 : 2))
        let resumed = try scores(try await second.get(path + "/result").body)

        let undisturbed = try await second.post(body, to: "/v1/influence", prefer: "wait=300")
        #expect(undisturbed.status == 200)
        #expect(resumed.count == 120)
        #expect(try scores(undisturbed.body) == resumed)
        #expect(try await second.stop().status == 0)
    }

    @Test("tells a service manager what it does, and goes on after SIGHUP")
    func serviceManager() async throws {
        let workspace = try await TestWorkspace(.fitted)
        let manager = try NotifySocket(in: workspace.folder)
        let server = try await TestServer.ready(workspace, settings: ["NOTIFY_SOCKET": manager.path])
        var messages: [String] = []
        while messages.last?.hasPrefix("READY=1") != true {
            messages += manager.messages()
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(messages.first == "STATUS=loading the model")
        server.program.send(SIGHUP)
        #expect(try await server.get("/readyz").status == 200)
        #expect(try await server.stop().status == 0)
        #expect(manager.messages().first?.hasPrefix("STOPPING=1") == true)
    }

    @Test("takes up a renewed certificate at SIGHUP, and keeps the one it has where the new one cannot be read")
    func certificateReload() async throws {
        let workspace = try await TestWorkspace()
        let (certificate, key) = (workspace.folder.path("server.pem"), workspace.folder.path("server.key"))
        func renew(_ name: String) async throws {
            let outcome = try await Program.openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=\(name)", "-keyout", key, "-out", certificate, in: workspace.folder)
            try #require(outcome.status == 0, "\(outcome.error)")
        }
        try await renew("first")
        let server = try TestServer(
            workspace,
            settings: ["TRIBUTARY__SERVER__TLS_CERTIFICATE": certificate, "TRIBUTARY__SERVER__TLS_KEY": key])
        try await server.program.wait(forError: "listening")
        func servedName() async throws -> String {
            try await Program.openssl("s_client", "-connect", try server.host, in: workspace.folder).output
        }
        #expect(try await servedName().contains("CN = first"))

        try await renew("second")
        server.program.send(SIGHUP)
        while try await !servedName().contains("CN = second") { try await Task.sleep(for: .milliseconds(10)) }

        try Data("no certificate".utf8).write(to: URL(fileURLWithPath: certificate))
        server.program.send(SIGHUP)
        try await server.program.wait(forError: "the certificate was not reloaded")
        #expect(try await servedName().contains("CN = second"))
        #expect(try await server.stop().status == 0)
    }

    @Test("fails for a model that cannot be loaded")
    func badModel() async throws {
        let folder = try TemporaryFolder()
        let outcome = try await Program.run(
            ["serve", "--port", "0", "--model", folder.path("nowhere"), "--workspace", folder.path("workspace")],
            in: folder)
        expectFailure(outcome, saying: "nowhere", "no such folder")
    }

    @Test("says what to do where factors are missing, and fits them with --fit")
    func factors() async throws {
        let workspace = try await TestWorkspace(.imported)
        let outcome = try await workspace.run(["serve", "--port", "0"])
        expectFailure(outcome, saying: "tributary fit --model")
        let server = try Program(["serve", "--port", "0", "--fit"] + workspace.options, in: workspace.folder)
        try await server.wait(forError: "fitting factors")
        server.send(SIGTERM)
        #expect(try await server.outcome().status == 0)
    }

    @Test("names file, line and key of a setting it does not know")
    func configuration() async throws {
        let workspace = try await TestWorkspace(.empty)
        let file = try workspace.folder.write("server:\n  prot: 80\n", to: "settings.yaml")
        expectFailure(
            try await workspace.run(["serve", "--config", file]), saying: "settings.yaml, line 2", "server.prot",
            "server.port")
    }
}
