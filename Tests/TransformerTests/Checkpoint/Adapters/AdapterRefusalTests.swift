import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("An adapter that cannot be applied")
struct AdapterRefusalTests {
    @Test(
        "is refused for a field that changes the computation, by the field's name",
        arguments: [
            ("peft_type", "\"IA3\""), ("peft_type", "\"ADALORA\""), ("peft_type", "\"LOHA\""),
            ("peft_type", "\"VERA\""),
            ("peft_type", "\"PROMPT_TUNING\""), ("task_type", "\"SEQ_CLS\""), ("use_dora", "true"),
            ("alora_invocation_tokens", "[1, 2]"), ("use_qalora", "true"), ("use_bdlora", "{\"nblocks\": 2}"),
            ("arrow_config", "{\"top_k\": 3}"), ("kasa_config", "{\"beta\": 1}"), ("monteclora_config", "{\"a\": 1}"),
            ("layer_replication", "[[0, 1]]"), ("target_parameters", "[\"experts\"]"),
            ("trainable_token_indices", "[5]"), ("megatron_config", "{\"a\": 1}"), ("use_something_new", "true"),
            ("init_lora_weights", "\"pissa_niter_16\""), ("init_lora_weights", "\"olora\""),
            ("init_lora_weights", "\"CorDA\""), ("init_lora_weights", "\"loftq\""),
        ])
    func fields(field: String, value: String) throws {
        let adapter = try AdapterScratch()
        try adapter.configure([
            field: try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
        ])
        guard case .unsupported(let named, _, let found, _)? = try adapter.refusal() else {
            Issue.record("\(field) is not refused")
            return
        }
        #expect(named == field)
        #expect(!found.isEmpty)
    }

    @Test(
        "is refused for a field that is malformed",
        arguments: [
            ("r", "0"), ("r", "-4"), ("r", "2.5"), ("r", "\"4\""), ("r", "1e9"), ("lora_alpha", "\"x\""),
            ("lora_alpha", "1e999"), ("use_rslora", "1"), ("bias", "\"some\""), ("modules_to_save", "\"head\""),
            ("modules_to_save", "[\"\"]"), ("rank_pattern", "[1]"), ("rank_pattern", "{\"q_proj\": 0}"),
            ("alpha_pattern", "{\"q_proj\": null}"), ("peft_type", "null"), ("peft_type", "3"),
            ("base_model_name_or_path", "7"),
        ])
    func malformed(field: String, value: String) throws {
        let adapter = try AdapterScratch()
        try adapter.configure([field: nil])
        let path = adapter.scratch.path("adapter_config.json")
        let others = try String(contentsOfFile: path, encoding: .utf8).dropFirst()
        let text = "{\"\(field)\": \(value), \(others)"
        try adapter.scratch.write(text.utf8, as: "adapter_config.json")
        guard case .malformed(let named, _, _, _)? = try adapter.refusal() else {
            Issue.record("\(field): \(value) is not refused")
            return
        }
        #expect(named.hasPrefix(field))
    }

    @Test("is refused if its configuration is no JSON object", arguments: ["", "[1]", "{\"r\": NaN}", "{"])
    func noObject(text: String) throws {
        let adapter = try AdapterScratch()
        try adapter.scratch.write(text.utf8, as: "adapter_config.json")
        let error = try #require(try adapter.refusal())
        #expect(error.description.contains("adapter_config.json"))
    }

    @Test("is refused for a pattern that is not understood, by the pattern")
    func patterns() throws {
        let adapter = try AdapterScratch()
        try adapter.configure(["rank_pattern": ["(?=q)_proj": 3]])
        guard case .pattern("(?=q)_proj", "rank_pattern", _, _)? = try adapter.refusal() else {
            Issue.record("expected a refusal")
            return
        }
    }

    @Test("is refused for a rank that its tensors do not have, by the tensor")
    func otherRank() throws {
        for field in ["r", "rank_pattern"] {
            let adapter = try AdapterScratch()
            try adapter.configure([field: field == "r" ? 5 : ["q_proj": 3]])
            guard case .otherRank(let tensor, _, let found, let rank)? = try adapter.refusal() else {
                Issue.record("expected a refusal")
                return
            }
            #expect(tensor.contains("lora_A") && found[0] == 4 && rank == (field == "r" ? 5 : 3))
        }
    }

    @Test("is refused on another base, by both shapes or by the module that is not there")
    func otherBase() throws {
        let folder = AdapterFixture.named("llama-linear").folder
        func refusal(of base: String) -> AdapterError? {
            do {
                _ = try Checkpoint.loadDecoder(folder: ModelFixture.folder(base), adapter: folder)
                return nil
            } catch { return error as? AdapterError }
        }
        guard case .wrongShape(let tensor, _, let found, let expected, let base)? = refusal(of: "qwen2") else {
            Issue.record("expected a refusal")
            return
        }
        #expect(tensor.hasPrefix("base_model.model.model.layers.0.self_attn."))
        #expect(found == [4, 24] && expected == [-1, 12] && base.hasSuffix("qwen2"))
        let shown = refusal(of: "qwen2")?.description ?? ""
        #expect(shown.contains("[4, 24]") && shown.contains("[rank, 12]"))
        guard case .unknownTensors(let tensors, _, _, let module)? = refusal(of: "gpt2") else {
            Issue.record("expected a refusal")
            return
        }
        #expect(tensors.count == 28 && module == "transformer.h.0.mlp.c_fc")
    }

    @Test("is refused for a tensor that no module takes, and for one matrix without the other")
    func tensors() throws {
        let prefix = "base_model.model.model.layers.1.self_attn.q_proj."
        var adapter = try AdapterScratch()
        try adapter.rewrite { $0.add("base_model.model.model.layers.7.mlp.up_proj.lora_A.weight", shape: [4, 24]) }
        try adapter.rewrite { $0.add("base_model.model.model.layers.7.mlp.up_proj.lora_B.weight", shape: [40, 4]) }
        guard case .unknownTensors(let unknown, _, _, _)? = try adapter.refusal() else {
            Issue.record("expected a refusal")
            return
        }
        #expect(unknown.count == 2)
        for (name, shape) in [
            ("model.layers.0.mlp.up_proj.vera_lambda_b", [3]), ("\(prefix)lora_C.weight", [4, 24]),
            ("base_model.model.model.norm.bias", [24]), ("base_model.model.score.weight", [2, 24]),
            ("\(prefix)lora_A.a.b.weight", [4, 24]), ("base_model.model.lora_A.weight", [4, 24]),
        ] {
            adapter = try AdapterScratch()
            try adapter.rewrite { $0.add(name, shape: shape) }
            #expect(try adapter.refusal() != nil, "\(name)")
        }
        for name in ["lora_A.weight", "lora_B.weight"] {
            adapter = try AdapterScratch()
            try adapter.rewrite { $0[prefix + name] = nil }
            guard case .unpaired(let tensor, prefix + name, _)? = try adapter.refusal() else {
                Issue.record("expected a refusal")
                return
            }
            #expect(tensor.hasPrefix(prefix))
        }
        adapter = try AdapterScratch()
        try adapter.rewrite { $0[prefix + "lora_A.other.weight"] = $0[prefix + "lora_A.weight"] }
        guard case .repeated? = try adapter.refusal() else {
            Issue.record("expected a refusal")
            return
        }
    }

    @Test("is refused as DoRA by its tensors")
    func magnitudes() throws {
        let adapter = try AdapterScratch()
        try adapter.rewrite {
            $0.add("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector.weight", shape: [24])
        }
        #expect(try adapter.refusal()?.description.contains("DoRA") == true)
    }

    @Test("is refused for a bias that the base does not have, and for biases that are missing")
    func biases() throws {
        let llama = try AdapterScratch()
        let name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.bias"
        try llama.rewrite { $0.add(name, shape: [40]) }
        guard case .biasWithoutBase(name, _)? = try llama.refusal() else {
            Issue.record("expected a refusal")
            return
        }
        let gpt2 = try AdapterScratch(copying: "gpt2-linear")
        for bias in ["all", "lora_only"] {
            try gpt2.configure(["bias": bias])
            #expect(try gpt2.refusal() == .missingBiases(folder: gpt2.folder, bias: bias))
        }
        // A base without biases has none to train.
        let plain = try AdapterScratch()
        try plain.configure(["bias": "all"])
        #expect(try plain.refusal() == nil)
    }

    @Test("is refused for values that are not finite, its own or those of the merged weight")
    func notFinite() throws {
        let prefix = "base_model.model.model.layers.0.mlp.up_proj.lora_"
        let damaged = try AdapterScratch()
        try damaged.rewrite { $0[prefix + "A.weight"]?.set(.nan) }
        #expect(safetensorsError { try damaged.load() } != nil)
        let diverged = try AdapterScratch()
        try diverged.rewrite {
            $0[prefix + "A.weight"]?.set(1e38)
            $0[prefix + "B.weight"]?.set(1e38)
        }
        #expect(
            try diverged.refusal()
                == .notFinite(module: "model.layers.0.mlp.up_proj", folder: diverged.folder))
    }

    @Test("is refused as a pickle, without its files, and damaged")
    func files() throws {
        let adapter = try AdapterScratch()
        let weights = adapter.scratch.path("adapter_model.safetensors")
        let whole = try Data(contentsOf: URL(fileURLWithPath: weights))
        try adapter.scratch.write(whole.dropLast(7), as: "adapter_model.safetensors")
        #expect(safetensorsError { try adapter.load() } != nil)
        try FileManager.default.removeItem(atPath: weights)
        #expect(try adapter.refusal() == .missingFile("adapter_model.safetensors", folder: adapter.folder))
        try adapter.scratch.write([1, 2, 3], as: "adapter_model.bin")
        #expect(try adapter.refusal() == .pickle(folder: adapter.folder))
        #expect(try adapter.refusal()?.description.contains("safetensors.torch.save_file") == true)
        try FileManager.default.removeItem(atPath: adapter.scratch.path("adapter_config.json"))
        #expect(try adapter.refusal() == .missingFile("adapter_config.json", folder: adapter.folder))
    }
}

@Suite("The base of an adapter")
struct AdapterBaseTests {
    private func refusal(of model: String, adapter: String? = nil) -> AdapterError? {
        do {
            _ = try Checkpoint.loadDecoder(folder: model, adapter: adapter)
            return nil
        } catch { return error as? AdapterError }
    }

    @Test("is not downloaded: the message says to give it")
    func hub() throws {
        let adapter = try AdapterScratch()
        try adapter.configure(["base_model_name_or_path": "someone/base"])
        let error = try #require(refusal(of: adapter.folder))
        #expect(error == .missingBase("someone/base", folder: adapter.folder))
        #expect(error.description.contains("Nothing is downloaded"))
        #expect(error.description.contains("--model BASE --adapter \(adapter.folder)"))
        #expect(try adapter.refusal() == nil)
        try adapter.configure(["base_model_name_or_path": nil])
        #expect(refusal(of: adapter.folder) == .unnamedBase(folder: adapter.folder))
    }

    @Test("can be an absolute path, or a folder inside the adapter's")
    func paths() throws {
        let adapter = try AdapterScratch()
        try adapter.configure(["base_model_name_or_path": adapter.base])
        #expect(refusal(of: adapter.folder) == nil)
        try FileManager.default.copyItem(atPath: adapter.base, toPath: adapter.scratch.path("base"))
        try adapter.configure(["base_model_name_or_path": "./base"])
        #expect(refusal(of: adapter.folder) == nil)
    }

    @Test("can be in the adapter's own folder, and then does not load without it")
    func sameFolder() throws {
        let adapter = try AdapterScratch()
        for file in ["config.json", "model.safetensors"] {
            try FileManager.default.copyItem(atPath: adapter.base + "/" + file, toPath: adapter.scratch.path(file))
        }
        try adapter.configure(["base_model_name_or_path": "."])
        let expected = try adapter.load().contentDigest()
        #expect(try Checkpoint.loadDecoder(folder: adapter.folder).contentDigest() == expected)
        let explicit = try Checkpoint.loadDecoder(folder: adapter.folder, adapter: adapter.folder + "/.")
        #expect(try explicit.contentDigest() == expected)
        try adapter.configure(["base_model_name_or_path": "someone/base"])
        #expect(refusal(of: adapter.folder) == .missingBase("someone/base", folder: adapter.folder))
    }

    @Test("cannot have an adapter of its own")
    func stacked() throws {
        let (lower, upper) = (try AdapterScratch(), try AdapterScratch())
        try upper.configure(["base_model_name_or_path": lower.folder])
        #expect(refusal(of: upper.folder) == .baseIsAdapter(lower.folder, folder: upper.folder))
        #expect(
            refusal(of: lower.folder, adapter: upper.folder)
                == .besideModel(folder: lower.folder, file: "adapter_config.json"))
    }

    @Test("as a GGUF file of an adapter is refused by its type")
    func gguf() {
        var builder = GGUFBuilder()
        builder.add("general.type", "adapter")
        builder.add("general.architecture", "llama")
        let error = ggufError { try GGUFCheckpoint(file: builder.file()) }
        #expect(error?.description.contains("the type \"adapter\"") == true)
        #expect(error?.description.contains("llama-export-lora") == true)
        #expect(refusal(of: ModelFixture.folder("gpt2"), adapter: "x/y.gguf") == .gguf(path: "x/y.gguf"))
    }
}

extension NamedParameter {
    fileprivate mutating func set(_ value: Float) {
        let filled = Matrix(rows: 1, columns: values.count, elements: [Float](repeating: value, count: values.count))
        self = NamedParameter(name: name, shape: shape, values: filled)
    }
}
