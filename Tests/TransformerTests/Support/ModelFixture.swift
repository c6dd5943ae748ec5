import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

/// A tiny checkpoint with what Hugging Face transformers computes from it (scripts/fixtures/models.py).
struct ModelFixture: ReferenceOutputs, CustomTestStringConvertible, Sendable {
    let name: String

    static let all =
        ([
            "gpt2", "gpt2-unprefixed", "llama-grouped-tied", "llama-biases-untied", "llama-f16", "llama-bf16",
            "llama-sharded", "llama-transformers4", "llama-rope-llama3", "llama-rope-linear",
        ] + families).map(ModelFixture.init)

    /// Of every family but the first two, each with its options.
    static let families =
        [
            "gpt-neo", "gpt-neox", "gpt-neox-sequential", "mistral", "qwen2", "qwen2-windows", "qwen3", "olmo", "olmo2",
            "phi", "gemma", "gemma2", "gemma3", "gemma3-transformers4",
        ] + mixtures

    /// Of every family with mixtures of experts.
    static let mixtures = ["mixtral", "olmoe", "qwen2-moe", "qwen3-moe"]

    var testDescription: String { name }

    var folder: String { Self.folder(name) }

    static func folder(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/models/\(name)").path
    }

    func decoder() throws -> DecoderModel { try Checkpoint.loadDecoder(folder: folder) }
}

/// A folder with what Python's libraries compute for some sequences, in `expected.safetensors`.
protocol ReferenceOutputs {
    var folder: String { get }
}

extension ReferenceOutputs {
    func expected() throws -> SafetensorsFile { try SafetensorsFile(path: folder + "/expected.safetensors") }

    func sequences() throws -> [[Int32]] {
        let expected = try expected()
        let ids = try expected.doubles(named: "input_ids")
        let lengths = try expected.doubles(named: "lengths").map { Int($0) }
        let width = ids.count / lengths.count
        return lengths.enumerated().map { row, length in
            ids[(row * width)..<(row * width + length)].map { Int32($0) }
        }
    }
}
