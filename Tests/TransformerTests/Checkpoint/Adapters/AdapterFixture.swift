import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

/// A tiny LoRA adapter with what PEFT computes with it (scripts/fixtures/adapters.py).
struct AdapterFixture: ReferenceOutputs, CustomTestStringConvertible, Sendable {
    let name: String
    /// A checkpoint of ``ModelFixture``.
    let base: String

    static let all: [AdapterFixture] = [
        ("gpt2-linear", "gpt2"), ("gpt2-embedding", "gpt2-unprefixed"), ("llama-tied-embedding", "llama-grouped-tied"),
        ("llama-tied-saved", "llama-grouped-tied"),
        ("gpt2-saved-head", "gpt2"), ("gpt2-biases", "gpt2"), ("gpt2-own-biases", "gpt2"),
        ("gpt2-adapter-bias", "gpt2"), ("llama-linear", "llama-grouped-tied"),
        ("llama-patterns", "llama-grouped-tied"), ("llama-saved", "llama-grouped-tied"),
        ("llama-untied", "llama-biases-untied"), ("llama-saved-both", "llama-biases-untied"),
        ("llama-bf16", "llama-bf16"), ("llama-top", "llama-sharded"), ("qwen2-linear", "qwen2"),
        ("qwen2-mlp", "qwen2-windows"), ("neox-fused", "gpt-neox"), ("phi-linear", "phi"),
        ("gemma2-saved", "gemma2"),
    ].map(AdapterFixture.init)

    static func named(_ name: String) -> AdapterFixture {
        all.first { $0.name == name } ?? AdapterFixture(name: name, base: name)
    }

    var testDescription: String { name }
    var folder: String { ModelFixture.folder("../adapters/\(name)") }
    var baseFolder: String { ModelFixture.folder(base) }

    func decoder() throws -> DecoderModel { try Checkpoint.loadDecoder(folder: baseFolder, adapter: folder) }

    /// The largest difference of a model's logits from PEFT's.
    func logitDifference(of decoder: DecoderModel) throws -> Double {
        let expected = try expected().doubles(named: "logits")
        let sequences = try sequences()
        let vocabulary = decoder.description.vocabulary
        let width = expected.count / sequences.count / vocabulary
        var workspace = DecoderWorkspace()
        var largest = 0.0
        for (row, sequence) in sequences.enumerated() {
            var batch = TokenBatch()
            batch.append(sequence)
            let logits = decoder.logits(of: batch, at: Array(sequence.indices), in: &workspace)
            for position in sequence.indices {
                for token in 0..<vocabulary {
                    let reference = expected[(row * width + position) * vocabulary + token]
                    let difference = abs(Double(logits[position, token]) - reference)
                    largest = difference.isNaN ? .infinity : max(largest, difference)
                }
            }
        }
        return largest
    }
}

/// A copy of an adapter's folder, changed as a test says, beside its base.
struct AdapterScratch {
    let scratch: SafetensorsScratch
    let base: String
    var folder: String { scratch.folder }

    init(copying name: String = "llama-linear") throws {
        let fixture = AdapterFixture.named(name)
        scratch = try SafetensorsScratch()
        base = fixture.baseFolder
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            try FileManager.default.copyItem(atPath: fixture.folder + "/" + file, toPath: scratch.path(file))
        }
    }

    /// Changes fields of adapter_config.json, or removes those for which nil is given.
    func configure(_ changes: [String: Any?]) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: scratch.path("adapter_config.json")))
        var fields = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        for (name, value) in changes { fields[name] = value }
        try scratch.write(try JSONSerialization.data(withJSONObject: fields), as: "adapter_config.json")
    }

    /// Writes the tensors after the body has changed them.
    func rewrite(_ change: (inout [String: NamedParameter]) -> Void) throws {
        try scratch.rewrite("adapter_model.safetensors", change)
    }

    func load() throws -> DecoderModel { try Checkpoint.loadDecoder(folder: base, adapter: folder) }

    /// Why the adapter is refused; nil where it is not.
    func refusal() throws -> AdapterError? {
        do {
            _ = try load()
            return nil
        } catch let error as AdapterError {
            return error
        }
    }
}
