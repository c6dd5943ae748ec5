import Attribution
import Foundation
import LinearAlgebra
import Testing
import Transformer

@Suite("A model with --adapter")
struct AdapterTests {
    private static let question = [
        "query", "--prompt", "The city Arden is known for", "--completion", " red roofs", "--format", "json",
        "--top-k", "3", "--layers", "--direction", "both",
    ]
    /// The modules of the tiny model that the adapter changes: width 16, feed-forward 32.
    private static let modules = [
        ("model.layers.0.self_attn.q_proj", inputs: 16, outputs: 16), ("model.layers.0.mlp.up_proj", 16, 32),
        ("model.layers.0.mlp.down_proj", 32, 16),
    ]
    private static let names = modules.flatMap { ["\($0.0).lora_A", "\($0.0).lora_B"] }

    /// Writes an adapter of rank 2 into the folder of a test.
    @discardableResult
    private static func adapter(
        in folder: TemporaryFolder, named name: String = "tuned", base: String = "someone/base", width: Int? = nil
    ) throws -> String {
        let path = folder.path(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try folder.write(
            #"{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "\#(base)"}"#,
            to: "\(name)/adapter_config.json")
        var generator = SplitMix64(seed: 5)
        func random(_ rows: Int, _ columns: Int) -> Matrix {
            Matrix(
                rows: rows, columns: columns, elements: (0..<(rows * columns)).map { _ in 0.1 * generator.nextNormal() }
            )
        }
        var writer = SafetensorsWriter()
        for (module, inputs, outputs) in modules {
            writer.add("base_model.model.\(module).lora_A.weight", random(2, width ?? inputs))
            writer.add("base_model.model.\(module).lora_B.weight", random(outputs, 2))
        }
        try writer.write(to: path + "/adapter_model.safetensors")
        return path
    }

    @Test("is imported, fitted, indexed and asked, by its adapter's matrices or its MLPs")
    func journey() async throws {
        let workspace = try await TestWorkspace(.empty)
        let adapter = ["--adapter", try Self.adapter(in: workspace.folder)]
        try await workspace.runToSuccess(["import", workspace.model.corpus] + adapter)
        func layers() async throws -> Set<String> {
            let outcome = try await workspace.runToSuccess(Self.question + adapter)
            let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(outcome.output.utf8))
            #expect(!result.sequences.isEmpty && result.sequences.allSatisfy { $0.score.isFinite && $0.score != 0 })
            return Set(result.sequences.flatMap { $0.layers ?? [] }.map(\.name))
        }
        let fitted = try await workspace.runToSuccess(["fit", "--workers", "1", "--track", "adapter"] + adapter)
        #expect(fitted.output.contains("fitted: 6 layers"))
        #expect(try await layers() == Set(Self.names))
        try await workspace.runToSuccess(["index"] + adapter)
        let indexed = try await workspace.runToSuccess(Self.question + ["--candidates", "index"] + adapter)
        #expect(indexed.output.contains("lora_A"))
        try await workspace.runToSuccess(["fit", "--workers", "1"] + adapter)
        #expect(try await layers() == Set(["gate_proj", "up_proj", "down_proj"].map { "model.layers.0.mlp.\($0)" }))
    }

    @Test("is another model than its base: neither uses what was made for the other")
    func separation() async throws {
        let workspace = try await TestWorkspace(.fitted)
        let adapter = try Self.adapter(in: workspace.folder)
        let other = try Self.adapter(in: workspace.folder, named: "other")
        expectFailure(
            try await workspace.run(Self.question + ["--adapter", adapter]), saying: "of another model", "digest")
        var folders: Set<String> = []
        for options in [[], ["--adapter", adapter], ["--adapter", other]] {
            let outcome = try await Program.run(
                ["workspace", "--model", workspace.model.folder] + options, in: workspace.folder)
            folders.insert(outcome.output)
        }
        #expect(folders.count == 3)
        #expect(folders.contains { $0.contains("+tuned-") } && folders.contains { $0.contains("+other-") })
    }

    @Test("is found by the adapter's folder where its base is a folder, and is never downloaded")
    func alone() async throws {
        let workspace = try await TestWorkspace(.empty)
        let path = try Self.adapter(in: workspace.folder, base: workspace.model.folder)
        let digests = try await [
            ["inspect", path], ["inspect", "--model", workspace.model.folder, "--adapter", path],
        ].asyncMap { arguments in
            let outcome = try await Program.run(
                arguments + ["--no-measure", "--track", "adapter"], in: workspace.folder)
            #expect(outcome.status == 0 && outcome.output.contains("lora_A"), "\(outcome.error)")
            return outcome.output.split(separator: "\n").first { $0.contains("digest") }
        }
        #expect(digests[0] == digests[1] && digests[0] != nil)
        let hub = try Self.adapter(in: workspace.folder)
        expectFailure(
            try await Program.run(["import", "--model", hub, workspace.model.corpus], in: workspace.folder),
            saying: "someone/base", "Nothing is downloaded", "--model BASE --adapter \(hub)")
    }

    @Test("is refused if the adapter is of another base, by both shapes")
    func otherBase() async throws {
        let workspace = try await TestWorkspace(.empty)
        let adapter = try Self.adapter(in: workspace.folder, width: 24)
        expectFailure(
            try await workspace.run(["import", workspace.model.corpus, "--adapter", adapter]),
            saying: "q_proj.lora_A.weight", "[2, 24]", "[rank, 16]")
        expectFailure(
            try await workspace.run(["import", workspace.model.corpus, "--adapter", workspace.model.folder]),
            saying: "adapter_config.json")
    }

    @Test("is needed to track an adapter")
    func without() async throws {
        let workspace = try await TestWorkspace(.imported)
        let outcome = try await workspace.run(["fit", "--track", "adapter"])
        #expect(outcome.status == 2)
        #expect(outcome.error.contains("--adapter"))
    }
}

extension [[String]] {
    fileprivate func asyncMap<Value>(_ body: ([String]) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}
