import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A model in a GGUF file")
struct GGUFCheckpointTests {
    static func path(_ name: String) -> String { ModelFixture.folder("../gguf") + "/\(name).gguf" }

    /// The digest covers description and every value: rotary rows in the wrong order would show.
    @Test(
        "is the very decoder that its Hugging Face checkpoint holds",
        arguments: [
            "gpt2", "gpt-neox", "llama-grouped-tied", "llama-biases-untied", "llama-rope-linear", "qwen2", "qwen3",
            "olmo",
            "olmo2", "phi",
        ])
    func sameDecoder(name: String) throws {
        let converted = try Checkpoint.loadDecoder(folder: Self.path(name))
        let original = try ModelFixture(name: name).decoder()
        #expect(converted.description == original.description)
        for (found, expected) in zip(try converted.namedParameters(), try original.namedParameters()) {
            #expect(found.name == expected.name && found.values == expected.values, "\(expected.name)")
        }
        #expect(try converted.contentDigest() == original.contentDigest())
    }

    /// Converters add 1 to gains, which rounds them; and the fixtures' scales of attention are not those of any published size.
    @Test(
        "of Gemma's kind has its checkpoint's parameters except for the rounding of gains",
        arguments: ["gemma", "gemma2", "gemma3"])
    func gemma(name: String) throws {
        let converted = try Checkpoint.loadDecoder(folder: Self.path(name))
        let original = try ModelFixture(name: name).decoder()
        #expect(converted.description.architecture == original.description.architecture)
        for (found, expected) in zip(try converted.namedParameters(), try original.namedParameters()) {
            #expect(found.name == expected.name && found.shape == expected.shape)
            let difference = zip(found.values.elements, expected.values.elements).map { abs($0 - $1) }.max() ?? 0
            #expect(difference <= (expected.name.hasSuffix("norm.weight") ? 2.5e-7 : 0), "\(expected.name)")
        }
    }

    @Test("has Llama 3's scaled frequencies recognised by their divisors")
    func scaledFrequencies() throws {
        func position(_ divisors: [Float]) throws -> DecoderDescription.Position {
            let scratch = try SafetensorsScratch()
            let builder = GGUFBuilder.llama {
                $0["heads"] = { $0.add("llama.attention.head_count", 1) }
                $0["base"] = { $0.add("llama.rope.freq_base", number: 1e8) }
                $0["freqs"] = { $0.add("rope_freqs.weight", shape: [2], floats: divisors) }
            }
            return try Checkpoint.loadDecoder(folder: scratch.write(builder.bytes, as: "model.gguf")).description
                .position
        }
        #expect(try position([1, 1]) == .rotary(RotaryEmbedding(base: 1e8, width: 4)))
        #expect(
            try position([1, 8])
                == .rotary(
                    RotaryEmbedding(
                        base: 1e8, width: 4,
                        scaling: .llama3(
                            factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8_192))))
        #expect(ggufError { try position([2, 8]) } != nil)
    }

    @Test("is found in a folder with one GGUF file and no config.json")
    func folder() throws {
        let scratch = try SafetensorsScratch()
        try FileManager.default.copyItem(atPath: Self.path("gpt2"), toPath: scratch.path("model.gguf"))
        #expect(try Checkpoint.loadDecoder(folder: scratch.folder).description.architecture == "gpt2")
        try FileManager.default.copyItem(atPath: Self.path("gpt2"), toPath: scratch.path("other.gguf"))
        let message = ggufError { try Checkpoint.loadDecoder(folder: scratch.folder) }?.description
        #expect(message?.contains("(model.gguf, other.gguf). Name one of the files.") == true)
        // A configuration means a Hugging Face folder, whatever else lies in it.
        try scratch.write(Array("{}".utf8), as: "config.json")
        #expect(throws: CheckpointError.self) { try Checkpoint.loadDecoder(folder: scratch.folder) }
    }

    /// What loading a file says: an empty text where it loads.
    private func refusal(
        _ changes: (inout [String: (inout GGUFBuilder) -> Void]) -> Void = { _ in }
    ) throws -> String {
        let scratch = try SafetensorsScratch()
        let path = try scratch.write(GGUFBuilder.llama(changes).bytes, as: "model.gguf")
        do {
            _ = try Checkpoint.loadDecoder(folder: path)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test("loads where nothing is missing")
    func complete() throws {
        #expect(try refusal() == "")
    }

    @Test("is refused for what is not supported, by its name")
    func unsupported() throws {
        func add(_ text: String, _ add: @escaping (inout GGUFBuilder) -> Void) throws {
            let message = try refusal { $0["zzz"] = add }
            #expect(message.hasPrefix("model.gguf: ") && message.contains(text), "\(message)")
        }
        try add("a mixture of 8 experts") { $0.add("llama.expert_count", 8) }
        try add("a mixture of experts") { $0.add("blk.0.ffn_gate_exps.weight", shape: [1], floats: [1]) }
        try add("a tensor \"blk.0.attn_sinks.weight\"") {
            $0.add("blk.0.attn_sinks.weight", shape: [1], floats: [1])
        }
        try add("a tensor \"blk.00.attn_q.weight\"") { $0.add("blk.00.attn_q.weight", shape: [1], floats: [1]) }
        try add("scaled by \"yarn\"") { $0.add("llama.rope.scaling.type", "yarn") }
        try add("scaled by \"longrope\"") { $0.add("rope_factors_long.weight", shape: [1], floats: [1]) }
        try add("in another way than Llama 3's") { $0.add("rope_freqs.weight", shape: [1], floats: [3]) }
        try add("rotary positions in 1 of a head's 2 values") { $0.add("llama.rope.dimension_count", 1) }
        try add("is one of 3 parts") { $0.add("split.count", 3) }
        try add("values of another width (4) than its keys (2)") { $0.add("llama.attention.value_length", 4) }
        try add("is stored as IQ4_XS; the supported types are F32") {
            $0.add("output.weight", shape: [1, 256], .iq4XS, bytes: Array(repeating: 0, count: 136))
        }
        let message = try refusal {
            $0["general.architecture"] = { $0.add("general.architecture", "mamba") }
        }
        #expect(message.contains("general.architecture is \"mamba\"; the supported ones are llama"))
    }

    @Test("is refused for what is missing, of the wrong shape or not finite, by its name")
    func incomplete() throws {
        for (part, key) in ["general.architecture": "general.architecture", "width": "llama.embedding_length"] {
            #expect(try refusal { $0[part] = nil }.contains("has no \(key), which"))
        }
        #expect(try refusal { $0["layers"] = nil }.contains("has no llama.block_count, which"))
        for layers: UInt32 in [0, 4_097, 6_384_748, .max] {
            #expect(
                try refusal { $0["layers"] = { $0.add("llama.block_count", layers) } }
                    .contains("llama.block_count: expected a whole number from 1 to 4096, found \(layers)"))
        }
        #expect(try refusal { $0["token_embd"] = nil }.contains("there is no tensor \"token_embd.weight\""))
        #expect(try refusal { $0["blk.0.ffn_up"] = nil }.contains("mlp.up_proj"))
        #expect(
            try refusal { $0["heads"] = { $0.add("llama.attention.head_count", 0) } }
                .contains("llama.attention.head_count: expected a whole number from 1"))
        #expect(
            try refusal { $0["heads"] = { $0.add("llama.attention.head_count", "2") } }
                .contains("llama.attention.head_count: expected an integer, found \"2\""))
        let shape = try refusal {
            $0["blk.0.ffn_up"] = {
                $0.add("blk.0.ffn_up.weight", shape: [2, 4], floats: Array(repeating: 1, count: 8))
            }
        }
        #expect(shape.contains("\"blk.0.ffn_up.weight\" is [2, 4]; its metadata says [3, 4]"))
        let finite = try refusal {
            $0["blk.0.ffn_norm"] = { $0.add("blk.0.ffn_norm.weight", shape: [4], floats: [1, 1, .nan, 1]) }
        }
        #expect(finite.contains("\"blk.0.ffn_norm.weight\" holds no finite number at row 0, column 2"))
    }
}
