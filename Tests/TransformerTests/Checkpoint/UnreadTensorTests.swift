import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Tensors that nothing in the model reads")
struct UnreadTensorTests {
    @Test(
        "are refused by their names, in every family",
        arguments: ["gpt2", "llama-grouped-tied"] + ModelFixture.families)
    func everyFamily(model: String) throws {
        let checkpoint = try CheckpointScratch(copying: model)
        let name = "model.layers.0.mlp.something_new.weight"
        try checkpoint.rewrite { $0.add(name) }
        #expect(try checkpoint.refusal() == .unreadTensors([name], folder: checkpoint.folder))
    }

    @Test("are refused where config.json forgets biases or layers")
    func forgotten() throws {
        var checkpoint = try CheckpointScratch(copying: "llama-biases-untied")
        try checkpoint.configure(["attention_bias": false, "mlp_bias": false])
        guard case .unreadTensors(let biases, _)? = try checkpoint.refusal() else {
            Issue.record("the biases were dropped")
            return
        }
        #expect(biases.count == 14 && biases.allSatisfy { $0.hasSuffix(".bias") })
        let message = try #require(try checkpoint.refusal()?.description)
        #expect(message.contains("\"model.layers.0.mlp.down_proj.bias\"") && message.contains(" and 11 more"))
        checkpoint = try CheckpointScratch(copying: "gpt2")
        try checkpoint.configure(["n_layer": 1])
        guard case .unreadTensors(let layers, _)? = try checkpoint.refusal() else {
            Issue.record("the second block was dropped")
            return
        }
        #expect(layers.count == 12 && layers.allSatisfy { $0.hasPrefix("transformer.h.1.") })
    }

    /// What published checkpoints of a family have beside the weights.
    static let buffers: [(model: String, names: [String])] = [
        ("gpt2", ["transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias"]),
        ("gpt2-unprefixed", ["h.0.attn.bias", "h.1.attn.bias", "h.1.attn.masked_bias"]),
        ("gpt-neo", ["transformer.h.0.attn.attention.bias", "transformer.h.2.attn.attention.masked_bias"]),
        (
            "gpt-neox",
            [
                "gpt_neox.layers.0.attention.bias", "gpt_neox.layers.1.attention.masked_bias",
                "gpt_neox.layers.1.attention.rotary_emb.inv_freq",
            ]
        ),
        ("phi", ["model.layers.0.self_attn.rotary_emb.inv_freq"]),
        ("llama-grouped-tied", ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"]),
        ("qwen2", ["model.layers.1.self_attn.rotary_emb.inv_freq"]),
    ]

    @Test("pass where the family is known to store them", arguments: buffers)
    func known(model: String, names: [String]) throws {
        let checkpoint = try CheckpointScratch(copying: model)
        let digest = try checkpoint.load().contentDigest()
        try checkpoint.rewrite { tensors in
            for name in names { tensors.add(name, shape: name.hasSuffix(".bias") ? [1, 1, 2, 2] : [2]) }
        }
        #expect(try checkpoint.load().contentDigest() == digest)
    }

    @Test("do not pass for a buffer in another family, or in a layer that is not there")
    func unknownBuffers() throws {
        for (model, name) in [
            ("llama-grouped-tied", "model.layers.0.attn.bias"), ("gpt2", "transformer.h.2.attn.bias"),
            ("gpt2", "transformer.h.x.attn.bias"), ("mistral", "model.layers.7.self_attn.rotary_emb.inv_freq"),
        ] {
            let checkpoint = try CheckpointScratch(copying: model)
            try checkpoint.rewrite { $0.add(name) }
            #expect(try checkpoint.refusal() == .unreadTensors([name], folder: checkpoint.folder))
        }
    }

    @Test(
        "tell what they belong to where their names do",
        arguments: [
            ("score.weight", "reward model or classifier"),
            ("v_head.summary.weight", "reward model or classifier"),
            ("model.layers.0.self_attn.q_proj.lora_A.weight", "belong to an adapter: merge it"),
        ])
    func owners(name: String, words: String) throws {
        let checkpoint = try CheckpointScratch(copying: "llama-grouped-tied")
        try checkpoint.rewrite { $0.add(name) }
        let message = try #require(try checkpoint.refusal()?.description)
        #expect(message.contains("\"\(name)\"") && message.contains(words))
    }

    @Test("are refused in a GGUF file, by the names that it has for them")
    func gguf() throws {
        func refusal(_ add: @escaping (inout GGUFBuilder) -> Void) -> CheckpointError? {
            let builder = GGUFBuilder.llama { $0["zz"] = add }
            do {
                _ = try Checkpoint.decoder(from: GGUFCheckpoint(file: builder.file()))
                return nil
            } catch {
                return error as? CheckpointError
            }
        }
        #expect(refusal { $0.add("rope_freqs.weight", shape: [1], floats: [1]) } == nil)
        let extra = refusal { $0.add("blk.1.attn_norm.weight", shape: [4], floats: [1, 1, 1, 1]) }
        #expect(extra == .unreadTensors(["blk.1.attn_norm.weight"], folder: "some.gguf"))
        // Of four biases, the first block's query tells whether there are any.
        let bias = refusal { $0.add("blk.0.attn_k.bias", shape: [4], floats: [1, 1, 1, 1]) }
        #expect(bias == .unreadTensors(["blk.0.attn_k.bias"], folder: "some.gguf"))
    }
}

@Suite("Tensors under other names than the model's")
struct WrappedTensorTests {
    @Test(
        "are refused with what left the prefix, and how to take it off",
        arguments: [
            ("llama-grouped-tied", "_orig_mod.", "torch.compile"),
            ("gpt-neox", "module.", "DataParallel, DistributedDataParallel"),
            ("qwen2", "base_model.model.", "a PEFT adapter's wrapper"),
            ("gpt2", "module._orig_mod.", "torch.compile and DataParallel"),
            ("gpt2-unprefixed", "_orig_mod.", "torch.compile"),
            ("mistral", "transformer.", "a program that wrapped the model"),
        ])
    func prefixes(model: String, prefix: String, origin: String) throws {
        let checkpoint = try CheckpointScratch(copying: model)
        try checkpoint.rewrite { tensors in
            tensors = Dictionary(uniqueKeysWithValues: tensors.map { (prefix + $0.key, $0.value) })
        }
        let error = try #require(try checkpoint.refusal())
        guard case .wrappedTensor(let name, let stored, _) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(stored == prefix + name)
        #expect(error.description.contains("\"\(prefix)\" was left by \(origin)"))
        #expect(error.description.contains("removeprefix(\"\(prefix)\")"))
    }

    @Test("are refused as a model without its head where the family's own prefix is missing")
    func headless() throws {
        let checkpoint = try CheckpointScratch(copying: "llama-grouped-tied")
        try checkpoint.rewrite { tensors in
            tensors = Dictionary(uniqueKeysWithValues: tensors.map { (String($0.key.dropFirst(6)), $0.value) })
        }
        let message = try #require(try checkpoint.refusal()?.description)
        #expect(message.contains("the prefix \"model.\" is missing"))
        #expect(message.contains("\"embed_tokens.weight\""))
    }
}

@Suite("An output head that is tied and stored")
struct TiedHeadTests {
    @Test(
        "is the embedding where both are equal, and refused where they differ",
        arguments: ["llama-grouped-tied", "gpt2", "gemma2"])
    func stored(model: String) throws {
        let checkpoint = try CheckpointScratch(copying: model)
        let decoder = try checkpoint.load()
        #expect(decoder.untiedHead == nil)
        let embedding = ["model.embed_tokens.weight", "transformer.wte.weight"]
        try checkpoint.rewrite { tensors in
            tensors["lm_head.weight"] = embedding.compactMap { tensors[$0] }.first
        }
        let second = try checkpoint.load()
        #expect(second.untiedHead == nil)
        #expect(try second.contentDigest() == decoder.contentDigest())
        try checkpoint.rewrite { tensors in
            guard let head = tensors["lm_head.weight"] else { return }
            var values = head.values
            values[0, 5] += 1
            tensors["lm_head.weight"] = NamedParameter(name: head.name, shape: head.shape, values: values)
        }
        guard case .tiedHeadDiffers("lm_head.weight", let other, _)? = try checkpoint.refusal() else {
            Issue.record("one of two heads was taken")
            return
        }
        #expect(embedding.contains(other))
        // Where config.json says that it is another, it is.
        try checkpoint.configure(["tie_word_embeddings": false])
        #expect(try checkpoint.load().untiedHead != nil)
    }
}
