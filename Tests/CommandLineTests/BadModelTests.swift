import Foundation
import Testing

@Suite("A model that cannot be used")
struct BadModelTests {
    /// Runs an import with a copy of the tiny model after something was done to it.
    private func outcome(
        of spoil: (_ folder: URL) throws -> Void
    ) async throws -> Program.Outcome {
        let workspace = try await TestWorkspace(.empty)
        let copy = try workspace.folder.copy(workspace.model.folder, as: "model")
        try spoil(URL(fileURLWithPath: copy))
        let outcome = try await Program.run(
            ["import", "--model", copy, "--workspace", workspace.path, workspace.model.corpus], in: workspace.folder)
        #expect(outcome.output == "")
        #expect(outcome.errorLines.count == 1, "\(outcome.error)")
        return outcome
    }

    private func edit(_ file: URL, replacing old: String, with new: String) throws {
        let text = try String(contentsOf: file, encoding: .utf8)
        try #require(text.contains(old), "\(text)")
        try Data(text.replacing(old, with: new).utf8).write(to: file)
    }

    @Test("is refused where a file is missing", arguments: ["config.json", "model.safetensors", "tokenizer.json"])
    func missing(_ name: String) async throws {
        let outcome = try await outcome { try FileManager.default.removeItem(at: $0.appending(path: name)) }
        expectFailure(outcome, saying: name)
    }

    @Test("is refused where its weights are cut short", arguments: [4, 100, 1_000])
    func truncated(_ size: Int) async throws {
        let outcome = try await outcome { folder in
            let file = folder.appending(path: "model.safetensors")
            try Data(contentsOf: file).prefix(size).write(to: file)
        }
        expectFailure(outcome, saying: "model.safetensors")
    }

    @Test("is refused where its architecture is not known, with those that are")
    func architecture() async throws {
        let outcome = try await outcome {
            try edit($0.appending(path: "config.json"), replacing: "\"llama\"", with: "\"abacus\"")
        }
        expectFailure(outcome, saying: "config.json", "abacus", "gpt2", "llama")
    }

    @Test("is refused where a tensor has another shape than its configuration says")
    func shape() async throws {
        let outcome = try await outcome {
            try edit(
                $0.appending(path: "config.json"), replacing: "\"intermediate_size\" : 32",
                with: "\"intermediate_size\" : 48")
        }
        expectFailure(outcome, saying: "model.safetensors", "48", "32")
    }

    @Test("is refused where a weight is not a number, with the tensor's name")
    func notFinite() async throws {
        let outcome = try await outcome { folder in
            let file = folder.appending(path: "model.safetensors")
            var bytes = try Data(contentsOf: file)
            // The last weight of the last tensor.
            bytes.replaceSubrange(bytes.count - 4..<bytes.count, with: [0, 0, 0xC0, 0x7F])
            try bytes.write(to: file)
        }
        expectFailure(outcome, saying: "model.safetensors", "model.")
    }

    @Test("is refused where its tokenizer is of another kind")
    func tokenizer() async throws {
        let outcome = try await outcome {
            try edit($0.appending(path: "tokenizer.json"), replacing: "\"BPE\"", with: "\"WordPiece\"")
        }
        expectFailure(outcome, saying: "tokenizer.json", "WordPiece", "BPE")
    }
}
