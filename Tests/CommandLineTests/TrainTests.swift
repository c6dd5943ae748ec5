import Foundation
import Testing

@Suite("tributary train")
struct TrainTests {
    private func call(_ folder: TemporaryFolder, output: String) throws -> [String] {
        let corpus = try folder.write(TinyModel.documents(60), to: "corpus.jsonl")
        let settings = try folder.write(TinyModel.settings(epochs: 400), to: "settings.yaml")
        return [
            "train", "--corpus", corpus, "--output", folder.path(output), "--config", settings, "--seed", "5",
            "--workers", "2",
        ]
    }

    private func weights(_ folder: TemporaryFolder, _ output: String) throws -> Data {
        try Data(contentsOf: folder.url.appending(path: "\(output)/model.safetensors"))
    }

    @Test("goes on after an interruption to the very weights of an undisturbed run")
    func resume() async throws {
        let folder = try TemporaryFolder()
        let undisturbed = try await Program.run(try call(folder, output: "undisturbed"), in: folder)
        try #require(undisturbed.status == 0, "\(undisturbed.error)")

        let first = try Program(try call(folder, output: "resumed"), in: folder)
        first.send(SIGTERM, onError: "tokenizer: done")
        let interrupted = try await first.outcome()
        expectFailure(interrupted, saying: "interrupted at step", "--resume")
        #expect(!FileManager.default.fileExists(atPath: folder.path("resumed/model.safetensors")))

        let resumed = try await Program.run(try call(folder, output: "resumed") + ["--resume"], in: folder)
        try #require(resumed.status == 0, "\(resumed.error)")
        #expect(resumed.error.contains("going on after step"))
        #expect(try weights(folder, "resumed") == weights(folder, "undisturbed"))
        #expect(!FileManager.default.fileExists(atPath: folder.path("resumed/training-state.safetensors")))
    }

    @Test("names the key of its settings that nothing is known of")
    func unknownSetting() async throws {
        let folder = try TemporaryFolder()
        let corpus = try folder.write(TinyModel.documents(2), to: "corpus.jsonl")
        let settings = try folder.write("widht: 16\n", to: "settings.yaml")
        let outcome = try await Program.run(
            ["train", "--corpus", corpus, "--output", folder.path("model"), "--config", settings], in: folder)
        expectFailure(outcome, saying: "settings.yaml", "widht", "width")
    }
}
