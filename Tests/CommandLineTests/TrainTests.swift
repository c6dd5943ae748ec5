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
        #expect(resumed.error.contains("continuing after step"))
        #expect(try weights(folder, "resumed") == weights(folder, "undisturbed"))
        #expect(!FileManager.default.fileExists(atPath: folder.path("resumed/training-state.safetensors")))
    }

    @Test("leaves an earlier model as it was until the new one is whole")
    func earlierModel() async throws {
        let folder = try TemporaryFolder()
        let settings = try folder.write(TinyModel.settings(), to: "short.yaml")
        let other = try folder.write(TinyModel.documents(60, about: "quarrelsome village"), to: "other.jsonl")
        let call = ["train", "--corpus", other, "--output", folder.path("model"), "--config", settings]
        let earlier = try await Program.run(call, in: folder)
        try #require(earlier.status == 0, "\(earlier.error)")
        func bytes() throws -> [String: Data] {
            let names = [
                "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.json",
            ]
            return try Dictionary(
                uniqueKeysWithValues: names.map {
                    ($0, try Data(contentsOf: folder.url.appending(path: "model/\($0)")))
                })
        }
        let before = try bytes()

        let next = try Program(try self.call(folder, output: "model"), in: folder)
        next.send(SIGTERM, onError: "tokenizer: done")
        expectFailure(try await next.outcome(), saying: "interrupted at step")
        #expect(try bytes() == before)

        let resumed = try await Program.run(try self.call(folder, output: "model") + ["--resume"], in: folder)
        try #require(resumed.status == 0, "\(resumed.error)")
        let after = try bytes()
        for name in ["model.safetensors", "tokenizer.json", "training.json"] { #expect(after[name] != before[name]) }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path("model")).sorted() == before.keys.sorted())
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
