import Foundation
import Testing

@Suite("tributary inspect")
struct InspectTests {
    private static func json(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test("tells a model's shapes, memory and costs as JSON")
    func model() async throws {
        let model = try await TinyModel.first
        let folder = try TemporaryFolder()
        let outcome = try await Program.run(
            ["inspect", model.folder, "--json", "--workers", "1", "--sequences", "500"], in: folder)
        try #require(outcome.status == 0, "\(outcome.error)")
        let inspection = try Self.json(outcome.output)
        let told = try #require(inspection["model"] as? [String: Any])
        #expect(told["architecture"] as? String == "llama")
        #expect(told["width"] as? Int == 16 && told["layers"] as? Int == 1 && told["feed_forward_width"] as? Int == 32)
        let tracked = try #require(told["tracked"] as? [[String: Any]])
        #expect(tracked.compactMap { $0["outputs"] as? Int } == [32, 32, 16])
        #expect(tracked.compactMap { $0["inputs"] as? Int } == [16, 16, 32])
        let tokenizer = try #require(told["tokenizer"] as? [String: Any])
        #expect(tokenizer["kind"] as? String == "byte-level BPE" && (tokenizer["vocabulary"] as? Int ?? 0) > 256)
        let memory = try #require(told["memory"] as? [String: Any])
        let parameters = try #require(told["parameters"] as? Int)
        #expect(memory["weights"] as? Int == 4 * parameters)
        // Qa 16² shared by gate and up, and 32² of down; Qs 32² twice and 16²; Λ 3 · 16 · 32.
        #expect(memory["factors"] as? Int == 4 * (256 + 1_024 + 2 * 1_024 + 256 + 3 * 512))
        let workspace = try #require(memory["workspace"] as? Int)
        #expect(
            memory["serving"] as? Int
                == 4 * parameters + 4 * (256 + 1_024 + 2 * 1_024 + 256 + 3 * 512) + workspace + 4 * 3 * 512)
        let costs = try #require(told["costs"] as? [String: Any])
        #expect(costs["sequences"] as? Int == 500)
        for stage in ["fit", "sweep", "covariances", "eigenvalues", "eigendecompositions"] {
            let cost = try #require(costs[stage] as? [String: Any])
            #expect((cost["seconds"] as? Double ?? 0) > 0 && (cost["operations"] as? Double ?? 0) > 0, "\(stage)")
        }
        #expect(inspection["workspace"] == nil)
    }

    @Test("adds up what a server takes in memory at most, with the settings of a file")
    func server() async throws {
        let model = try await TinyModel.first
        let folder = try TemporaryFolder()
        let settings = folder.url.appending(path: "settings.yaml")
        try Data("jobs: {maximum_queued_bytes: 1000000}\nbatching: {maximum_sweep_bytes: 4000000}\n".utf8).write(
            to: settings)
        func server(_ more: [String]) async throws -> [String: Int] {
            let outcome = try await Program.run(
                ["inspect", model.folder, "--json", "--workers", "1"] + more, in: folder)
            try #require(outcome.status == 0, "\(outcome.error)")
            let server = try #require(try Self.json(outcome.output)["server"] as? [String: Any])
            let parts = try #require(server["parts"] as? [[String: Any]])
            let bytes = parts.compactMap { part in (part["name"] as? String).map { ($0, part["bytes"] as? Int ?? -1) } }
            #expect(bytes.reduce(0) { $0 + $1.1 } == server["bytes"] as? Int)
            return Dictionary(bytes) { $0 + $1 }
        }
        let set = try await server(["--config", settings.path])
        #expect(set["queue"] == 1_000_000 && set["sweeps"] == 5_000_000)
        let usual = try await server([])
        #expect(usual["queue"] == 134_217_728 && usual["weights"] == set["weights"])
        let text = try await Program.run(["inspect", model.folder, "--workers", "1"], in: folder)
        #expect(text.output.contains("jobs.maximum_queued_bytes") && text.output.contains("total"))
        let wrong = try await Program.run(["inspect", model.folder, "--config", "none.yaml"], in: folder)
        #expect(wrong.status == 1 && wrong.error.contains("none.yaml"))
    }

    @Test("reckons with covariances in blocks when asked to")
    func blocks() async throws {
        let model = try await TinyModel.first
        let folder = try TemporaryFolder()
        let arguments = ["inspect", model.folder, "--no-measure", "--largest-block", "16"]
        let outcome = try await Program.run(arguments + ["--json"], in: folder)
        try #require(outcome.status == 0, "\(outcome.error)")
        let told = try #require(try Self.json(outcome.output)["model"] as? [String: Any])
        #expect(told["largest_block"] as? Int == 16)
        let memory = try #require(told["memory"] as? [String: Any])
        // Every 32² is now twice 16².
        #expect(memory["factors"] as? Int == 4 * (256 + 512 + 2 * 512 + 256 + 3 * 512))
        let costs = try #require(told["costs"] as? [String: Any])
        let decompositions = try #require(costs["eigendecompositions"] as? [String: Any])
        let operations = try #require(decompositions["operations"] as? Double)
        #expect(operations == Double(9 * 8 * 4_096))
        let text = try await Program.run(arguments, in: folder)
        #expect(text.output.contains("blocks of at most 16 rows"), "\(text.output)")
        let refused = try await Program.run(["inspect", "--largest-block", "3"], in: folder)
        #expect(refused.status != 0 && refused.error.contains("expected a whole number from 16 to 1048576, found 3"))
    }

    @Test("tells people the same, in plain text where the output is no terminal")
    func text() async throws {
        let model = try await TinyModel.first
        let folder = try TemporaryFolder()
        let outcome = try await Program.run(["inspect", model.folder, "--no-measure"], in: folder)
        try #require(outcome.status == 0, "\(outcome.error)")
        for part in ["Model\n", "llama", "model.layers.*.mlp.down_proj", "16 × 32", "Memory\n", "weights", "no times"] {
            #expect(outcome.output.contains(part), "\(part) in \(outcome.output)")
        }
        #expect(!outcome.output.contains("\u{1B}"))
        let colored = try await Program.run(
            ["inspect", model.folder, "--no-measure", "--color", "always"], in: folder)
        #expect(colored.output.contains("\u{1B}[1mModel"))
    }

    @Test("tells what is in a workspace, and with its model what its corpus costs")
    func workspace() async throws {
        let workspace = try await TestWorkspace(.fitted)
        let alone = try await Program.run(["inspect", workspace.path, "--json"], in: workspace.folder)
        try #require(alone.status == 0, "\(alone.error)")
        let inspection = try Self.json(alone.output)
        #expect(inspection["model"] == nil)
        let told = try #require(inspection["workspace"] as? [String: Any])
        let corpus = try #require(told["corpus"] as? [String: Any])
        #expect(corpus["documents"] as? Int == 60)
        let factors = try #require(told["factors"] as? [String: Any])
        #expect(factors["layers"] as? Int == 3)
        let provenance = try #require(factors["provenance"] as? [String: Any])
        #expect(provenance["sequences"] as? Int == corpus["sequences"] as? Int)

        let both = try await Program.run(
            ["inspect", workspace.path, "--model", workspace.model.folder, "--json", "--no-measure"],
            in: workspace.folder)
        try #require(both.status == 0, "\(both.error)")
        let model = try #require(try Self.json(both.output)["model"] as? [String: Any])
        let costs = try #require(model["costs"] as? [String: Any])
        #expect(costs["sequences"] as? Int == corpus["sequences"] as? Int)
        #expect(costs["tokens"] as? Int == corpus["tokens"] as? Int)
        #expect((costs["fit"] as? [String: Any])?["seconds"] == nil)

        let text = try await Program.run(["inspect", workspace.path], in: workspace.folder)
        for part in ["Workspace\n", "60 documents", "3 layers", "sampled Fisher", "--model"] {
            #expect(text.output.contains(part), "\(part) in \(text.output)")
        }
    }

    @Test("names what is neither a model nor a workspace")
    func neither() async throws {
        let folder = try TemporaryFolder()
        let absent = try await Program.run(["inspect", folder.path("absent")], in: folder)
        expectFailure(absent, saying: "absent", "no such folder")
        let file = try folder.write("GGUX", to: "broken.gguf")
        expectFailure(try await Program.run(["inspect", file], in: folder), saying: "broken.gguf", "GGUF")
    }
}
