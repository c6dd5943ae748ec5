import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A model with an adapter")
struct AdapterMergeTests {
    @Test("has PEFT's logits", arguments: AdapterFixture.all)
    func logits(fixture: AdapterFixture) throws {
        #expect(try fixture.logitDifference(of: fixture.decoder()) < 1e-4)
        #expect(try fixture.logitDifference(of: Checkpoint.loadDecoder(folder: fixture.baseFolder)) > 0.05)
    }

    @Test("is found from the adapter's folder alone, where its base is a folder", arguments: AdapterFixture.all)
    func alone(fixture: AdapterFixture) throws {
        let alone = try Checkpoint.loadDecoder(folder: fixture.folder)
        #expect(try alone.contentDigest() == fixture.decoder().contentDigest())
    }

    @Test(
        "has PEFT's logits on a base in a GGUF file as well",
        arguments: ["gpt2-linear", "llama-patterns", "llama-untied", "qwen2-linear", "neox-fused", "phi-linear"])
    func ggufBase(name: String) throws {
        let fixture = AdapterFixture.named(name)
        let base = GGUFCheckpointTests.path(fixture.base)
        let decoder = try Checkpoint.loadDecoder(folder: base, adapter: fixture.folder)
        #expect(try fixture.logitDifference(of: decoder) < 1e-4)
    }

    @Test("has another digest than its base, even if the adapter changes nothing yet")
    func digest() throws {
        let base = try ModelFixture(name: "llama-grouped-tied").decoder()
        let adapter = try AdapterScratch()
        #expect(try adapter.load().contentDigest() != base.contentDigest())
        try adapter.rewrite { tensors in
            for (name, tensor) in tensors where name.contains("lora_B") {
                tensors[name] = NamedParameter(
                    name: name, shape: tensor.shape, values: Matrix(rows: 1, columns: tensor.values.count))
            }
        }
        let unchanged = try adapter.load()
        for (own, other) in zip(try unchanged.namedParameters(), try base.namedParameters()) {
            #expect(own.values == other.values, "\(own.name)")
        }
        #expect(try unchanged.contentDigest() != base.contentDigest())
    }

    @Test("has a head of its own only if the adapter tells head and embedding apart")
    func ties() throws {
        for (name, isTied) in [
            ("gpt2-linear", true), ("gpt2-embedding", false), ("llama-tied-saved", true), ("gpt2-saved-head", false),
            ("llama-saved", false), ("qwen2-linear", true), ("gemma2-saved", false), ("llama-untied", false),
        ] {
            let decoder = try AdapterFixture.named(name).decoder()
            #expect(decoder.description.isHeadTied == isTied, "\(name)")
            #expect((decoder.untiedHead == nil) == isTied, "\(name)")
        }
    }

    @Test("takes the names of matrices with the adapter's own name in them")
    func adapterNames() throws {
        let adapter = try AdapterScratch()
        let digest = try adapter.load().contentDigest()
        try adapter.rewrite { tensors in
            for (name, tensor) in tensors {
                tensors[name] = nil
                tensors[name.replacing(".weight", with: ".default.weight")] = tensor
            }
        }
        #expect(try adapter.load().contentDigest() == digest)
    }

    @Test("takes modules to save under the names of PEFT's wrapper")
    func wrapperNames() throws {
        let adapter = try AdapterScratch(copying: "llama-saved")
        let digest = try adapter.load().contentDigest()
        try adapter.rewrite { tensors in
            for (name, tensor) in tensors where !name.contains("lora_") {
                tensors[name] = nil
                tensors[name.replacing(".weight", with: ".modules_to_save.default.weight")] = tensor
            }
        }
        #expect(try adapter.load().contentDigest() == digest)
    }

    @Test("ignores fields of training, and which modules were asked for")
    func ignoredFields() throws {
        let adapter = try AdapterScratch()
        let digest = try adapter.load().contentDigest()
        try adapter.configure([
            "lora_dropout": 0.5, "target_modules": "all-linear", "layers_to_transform": [0], "layers_pattern": "layers",
            "init_lora_weights": "gaussian", "fan_in_fan_out": true, "peft_version": "99", "something_new": 3,
            "exclude_modules": ["x"], "task_type": nil,
        ])
        #expect(try adapter.load().contentDigest() == digest)
    }

    @Test("reads embeddings saved beside an adapter in place of the tied pair")
    func savedTiedPair() throws {
        let adapter = try AdapterScratch(copying: "qwen2-linear")
        let (rows, columns) = (59, 12)
        let values = Matrix(
            rows: 1, columns: rows * columns, elements: (0..<(rows * columns)).map { Float($0 % 7) / 10 })
        func save(_ name: String, _ values: Matrix) throws {
            try adapter.rewrite {
                $0["base_model.model.\(name)"] = NamedParameter(name: name, shape: [rows, columns], values: values)
            }
        }
        try save("model.embed_tokens.weight", values)
        let decoder = try adapter.load()
        #expect(decoder.tokenEmbedding.elements == values.elements)
        #expect(decoder.description.isHeadTied)
        try save("lm_head.weight", values)
        #expect(try adapter.load().contentDigest() == decoder.contentDigest())
        var other = values
        other[0, 5] += 1
        try save("lm_head.weight", other)
        guard case .tiedBase(let tensors, _)? = try adapter.refusal() else {
            Issue.record("expected a refusal")
            return
        }
        #expect(tensors.count == 2)
    }
}

@Suite("A pattern of rank_pattern or alpha_pattern")
struct NamePatternTests {
    private static let name = "model.layers.11.self_attn.q_proj"

    @Test(
        "matches the end of a name from a dot on, as in Python",
        arguments: [
            "q_proj", "self_attn.q_proj", "model.layers.11.self_attn.q_proj", ".*", "^model.*q_proj",
            #"layers\.\d+\.self_attn\.q_proj"#, #"model\.layers\.(?:1|11)\..*"#, "[qkv]_proj", "(q|k)_proj$",
            "layers.1{2}.self_attn.q_proj", "layers.[0-9]{1,3}.self_attn.[^k]_proj", #"\w+_proj"#, "x?q_proj",
            "q_proj|x",
            "layers.(1)*1.self_attn.q_proj", "layers.1{2,}.self_attn.q_proj", "(.*)*", "self_attn..?_proj",
        ])
    func matching(pattern: String) throws { #expect(try NamePattern(pattern).matches(Self.name)) }

    @Test(
        "does not match other names",
        arguments: [
            "proj", "q_pro", "k_proj", "^q_proj", "layers.1.self_attn.q_proj", "layers.1{3}.self_attn.q_proj",
            "[kv]_proj",
            "", #"self_attn\.q\.proj"#, "(k|v)_proj", "layers.[^1]+.self_attn.q_proj", "layers.12?.self_attn.q_proj",
        ])
    func other(pattern: String) throws { #expect(try !NamePattern(pattern).matches(Self.name)) }

    @Test(
        "is refused if it is not understood",
        arguments: [
            "(", "a)", "[a", "(?=a)", "(?P<n>a)", #"\b"#, #"a\"#, "*", "a**", "a{2", "a{3,2}", "a{999}", "[z-a]", "a{}",
            String(repeating: "(", count: 100) + String(repeating: ")", count: 100),
            String(repeating: "a", count: 5_000),
        ])
    func refused(pattern: String) {
        #expect(throws: NamePattern.Problem.self) { try NamePattern(pattern) }
    }

    @Test("takes no exponential time")
    func hostile() throws {
        let pattern = try NamePattern("((((((a*)*)*)*)*)*)*b")
        let name = String(repeating: "a", count: 3_000)
        let start = ContinuousClock.now
        _ = try? pattern.matches(name)
        #expect(ContinuousClock.now - start < .seconds(20))
    }
}
