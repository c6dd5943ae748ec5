import Foundation
import JSON
import Testing

@testable import Transformer

extension ModelConfiguration {
    /// The description that a family makes of it.
    fileprivate func described() throws -> DecoderDescription { try family().description(of: self) }
}

/// The fields of a fixture's config.json after some were changed, or removed where nil is given.
private func configuration(_ model: String, _ changes: [String: Any?] = [:]) throws -> ModelConfiguration {
    let data = try Data(contentsOf: URL(fileURLWithPath: ModelFixture.folder(model) + "/config.json"))
    var fields = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    for (name, value) in changes { fields[name] = value }
    return ModelConfiguration(fields: fields)
}

/// Why a configuration is refused; an empty text where it is not.
private func refusal(_ model: String, _ changes: [String: Any?]) throws -> String {
    do {
        _ = try configuration(model, changes).described()
        return ""
    } catch let error as CheckpointError {
        return error.description
    }
}

@Suite("A field of config.json that changes what a model computes")
struct ComputationFieldTests {
    static let models = ["gpt2", "llama-grouped-tied"] + ModelFixture.families

    /// A value that is not the neutral one.
    private func value(unlike field: ComputationFields.Field) -> Any {
        switch field.neutral {
        case .boolean(let value): !value
        case .number(let value): value + 0.5
        case .words: "alibi"
        case .contextLength: 6
        case .headWidth: 14
        case .fullAttention: ["sliding_attention", "full_attention", "sliding_attention"]
        case .nothing:
            switch field.name {
            case "rope_parameters", "rope_scaling": ["rope_type": "linear", "factor": 3.0] as [String: Any]
            case "attention_types": [[["global"], 3]] as [Any]
            default: 7.0
            }
        }
    }

    @Test("is followed or refused by its name, in every family", arguments: models)
    func everyField(model: String) throws {
        let base = try configuration(model)
        let family = try base.family()
        let plain = try base.described()
        for field in ComputationFields.all {
            var changes: [String: Any?] = [field.name: value(unlike: field)]
            if case .boolean(let neutral) = field.neutral, family.follows.contains(field.name) {
                changes[field.name] = !(try base.boolean(field.name, default: neutral))
            }
            // In effect only together.
            if field.name == "layer_types" {
                changes["layer_types"] = Array((value(unlike: field) as? [String] ?? []).prefix(plain.layers))
                if family.follows.contains("sliding_window") { changes["sliding_window"] = 5 }
                if family.follows.contains("use_sliding_window") { changes["use_sliding_window"] = true }
            } else if family.follows.contains("use_sliding_window"), field.name.hasSuffix("sliding_window") {
                changes.merge(
                    ["use_sliding_window": true, "sliding_window": 5, "max_window_layers": 0, "layer_types": nil]
                ) { own, _ in own }
            } else if field.name == "rope_parameters", family.follows.contains("partial_rotary_factor") {
                changes["rope_parameters"] = ["rope_type": "linear", "factor": 3.0, "partial_rotary_factor": 0.67]
            }
            // In effect only if use_sliding_window says so, which these families refuse.
            if field.name == "sliding_window", ["qwen2_moe", "qwen3_moe"].contains(family.name) {
                changes["use_sliding_window"] = true
            }
            if field.name == "sliding_window_pattern" { changes["layer_types"] = .some(nil) }
            do {
                let found = try configuration(model, changes).described()
                #expect(found != plain, "\(field.name) is ignored")
            } catch let error as CheckpointError {
                #expect(error.description.contains(field.name), "\(field.name): \(error)")
            }
        }
    }

    @Test("passes at the value that changes nothing", arguments: models)
    func neutralValues(model: String) throws {
        let family = try configuration(model).family()
        let plain = try configuration(model).described()
        for field in ComputationFields.all where !family.follows.contains(field.name) {
            let neutral: [Any] =
                switch field.neutral {
                case .boolean(let value): [value]
                case .number(let value): [value, Int(value)]
                case .words(let words): words
                case .contextLength: [plain.contextLength, plain.contextLength + 1]
                case .headWidth: [plain.headWidth]
                case .fullAttention: [["full_attention", "full_attention"], [String]()]
                case .nothing: [false, [Any](), [String: Any]()]
                }
            for value in neutral + [NSNull()] {
                #expect(try configuration(model, [field.name: value]).described() == plain, "\(field.name): \(value)")
            }
        }
    }

    @Test(
        "is refused in a GGUF file too",
        arguments: ["logit_scale", "residual_scale", "attention.scale", "embedding_scale"])
    func gguf(key: String) throws {
        let builder = GGUFBuilder.llama { $0["option"] = { $0.add("llama." + key, number: 0.5) } }
        let error = #expect(throws: CheckpointError.self) {
            try Checkpoint.decoder(from: GGUFCheckpoint(file: builder.file()))
        }
        #expect(error?.description.contains("is 0.5; Tributary supports") == true)
    }

    @Test(
        "has one name in a family; under another's name it must say the same",
        arguments: [
            ("llama-grouped-tied", "hidden_activation", "gelu_pytorch_tanh"), ("gpt2", "hidden_act", "relu"),
            ("gpt-neo", "hidden_act", "gelu"), ("gemma2", "hidden_act", "silu"), ("phi", "activation_function", "silu"),
        ])
    func activations(model: String, field: String, value: String) throws {
        #expect(
            try refusal(model, [field: value]).hasPrefix(
                "config.json: \(field) is \"\(value)\"; Tributary supports "))
        #expect(try refusal(model, [field: nil]) == "" || model == "gemma2")
    }

    @Test("is as the family's class has it where it is absent, which null is not")
    func defaults() throws {
        let mistral = try configuration("mistral", ["sliding_window": nil, "layer_types": nil]).described()
        #expect(mistral.attention.windows == Array(repeating: 4_096, count: mistral.layers))
        #expect(try configuration("mistral", ["sliding_window": NSNull()]).described().attention.windows == [])
        var gemma = try configuration("gemma2", ["attn_logit_softcapping": nil, "final_logit_softcapping": nil])
            .described()
        #expect(gemma.attention.scoreCap == 50 && gemma.logitCap == 30)
        gemma = try configuration(
            "gemma2", ["attn_logit_softcapping": NSNull(), "final_logit_softcapping": NSNull()]
        ).described()
        #expect(gemma.attention.scoreCap == nil && gemma.logitCap == nil)
        let third = try configuration("gemma3-transformers4", ["rope_local_base_freq": nil]).described()
        guard case .rotary(let everywhere, let windowed) = third.position else { return }
        #expect(everywhere.base == 900 && windowed?.base == 10_000)
    }
}

@Suite("Rotary positions in config.json")
struct RotaryConfigurationTests {
    private var llama3: [String: Any] {
        [
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        ]
    }

    @Test("are refused where two spellings contradict each other")
    func contradictions() throws {
        let linear: [String: Any] = ["rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0]
        let cases: [(String, [String: Any?], String)] = [
            (
                "llama-grouped-tied", ["rope_scaling": llama3, "rope_parameters": linear],
                "rope_parameters is linear with the factor 2.0 and rope_scaling is llama3 with the factor 8.0"
            ),
            (
                "llama-grouped-tied", ["rope_scaling": ["type": "linear", "factor": 2.0]],
                "rope_parameters is default and rope_scaling is linear"
            ),
            (
                "llama-grouped-tied", ["rope_scaling": ["type": "linear", "factor": 4.0], "rope_parameters": linear],
                "rope_scaling is linear with the factor 4.0"
            ),
            (
                "llama-grouped-tied", ["rope_theta": 500_000],
                "rope_parameters.rope_theta is 10000.0 and rope_theta is 500000.0"
            ),
            (
                "llama-transformers4", ["rope_scaling": ["rope_type": "linear", "type": "llama3", "factor": 2.0]],
                "rope_scaling.rope_type is \"linear\" and rope_scaling.type is \"llama3\""
            ),
            (
                "gpt-neox-sequential", ["rotary_pct": 0.5, "partial_rotary_factor": 1.0],
                "rotary_pct is 0.5 and partial_rotary_factor is 1.0"
            ),
            ("gpt-neox-sequential", ["rope_theta": 10_000], "rotary_emb_base is 50.0 and rope_theta is 10000.0"),
            (
                "llama-transformers4", ["rope_scaling": llama3, "original_max_position_embeddings": 8],
                "rope_scaling.original_max_position_embeddings is 16.0 and original_max_position_embeddings is 8.0"
            ),
            (
                "qwen2", ["use_sliding_window": false, "layer_types": ["full_attention", "sliding_attention"]],
                "use_sliding_window is false"
            ),
        ]
        for (model, changes, words) in cases {
            let message = try refusal(model, changes)
            #expect(message.contains(words), "\(message)")
            #expect(message.contains("contradict each other"))
        }
    }

    @Test("are taken where two spellings say the same")
    func agreement() throws {
        let linear: [String: Any] = ["rope_type": "linear", "factor": 2.0]
        let plain = try configuration("llama-transformers4", ["rope_scaling": linear]).described()
        let both = try configuration(
            "llama-transformers4",
            ["rope_scaling": ["type": "linear", "factor": 2], "rope_parameters": linear, "head_dim": plain.headWidth]
        ).described()
        #expect(both == plain)
        #expect(
            try configuration("gpt-neox-sequential", ["rope_theta": 50, "partial_rotary_factor": 1.0]).described()
                == configuration("gpt-neox-sequential").described())
    }

    @Test("are refused for a part of a head where the family turns all of it")
    func partial() throws {
        #expect(
            try refusal("llama-grouped-tied", ["partial_rotary_factor": 0.5])
                == "config.json: partial_rotary_factor is 0.5; Tributary supports 1.")
        #expect(
            try refusal("mistral", ["rope_parameters": ["rope_theta": 100, "partial_rotary_factor": 0.5]])
                == "config.json: rope_parameters.partial_rotary_factor is 0.5; Tributary supports 1.")
        #expect(try refusal("llama-grouped-tied", ["partial_rotary_factor": 1]) == "")
        guard
            case .rotary(let phi, _) = try configuration("phi", ["rope_parameters": nil, "partial_rotary_factor": 1])
                .described().position
        else { return }
        #expect(phi.width == (try configuration("phi").described().headWidth))
    }

    @Test("are refused with fields that their kind does not have")
    func unknownFields() throws {
        for (object, field) in [
            ("{\"rope_type\": \"default\", \"factor\": 4}", "factor"),
            ("{\"type\": \"linear\", \"factor\": 2, \"mscale\": 0.7}", "mscale"),
            ("{\"mrope_section\": [1, 1]}", "mrope_section"),
            ("{\"full_attention\": {\"rope_theta\": 5}}", "full_attention"),
        ] {
            let value = try JSONSerialization.jsonObject(with: Data(object.utf8))
            #expect(try refusal("llama-transformers4", ["rope_scaling": value]).contains("rope_scaling.\(field) is "))
        }
        #expect(
            try refusal("gemma3", ["rope_parameters": ["rope_theta": 500]]).contains(
                "rope_parameters.rope_theta is 500"))
    }
}

@Suite("The classes that config.json names")
struct ArchitectureNameTests {
    @Test(
        "are refused where they are no causal language model, or another family's",
        arguments: [
            ("LlamaForSequenceClassification", "classifier or reward model"),
            ("LlamaForTokenClassification", "classifier"),
            ("LlamaForQuestionAnswering", "chooses among answers"), ("LlamaModel", "no output head"),
            ("LlamaForRewardModel", "reward model"), ("MistralForCausalLM", "not LlamaForCausalLM"),
            ("LlamaForCausalLMEagle", "not LlamaForCausalLM"),
        ])
    func refused(name: String, words: String) throws {
        let message = try refusal("llama-grouped-tied", ["architectures": [name]])
        #expect(message.hasPrefix("config.json: architectures names \"\(name)\", which is not LlamaForCausalLM"))
        #expect(message.contains(words))
    }

    @Test("pass where they are the family's, or are not there")
    func accepted() throws {
        for value in [["LlamaForCausalLM"], ["LLaMAForCausalLM"], [String](), NSNull(), nil] as [Any?] {
            #expect(try refusal("llama-grouped-tied", ["architectures": value]) == "")
        }
        #expect(try refusal("llama-grouped-tied", ["architectures": "LlamaForCausalLM"]).contains("a list of strings"))
        for family in ModelFamily.all { #expect(family.causalClass.hasSuffix("ForCausalLM") || family.name == "gpt2") }
    }
}

@Suite("The text of config.json")
struct ConfigurationTextTests {
    @Test(
        "is JSON as RFC 8259 has it: where it is not is said",
        arguments: [
            ("{\"model_type\": \"gpt2\",}", "line 1, column 23"), ("{\"a\": 1,\n \"a\": 2}", "appears twice"),
            ("{\"a\": NaN}", "NaN is not JSON"),
        ])
    func strict(text: String, words: String) throws {
        let error = #expect(throws: CheckpointError.self) { try ModelConfiguration(json: Data(text.utf8)) }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }
}
