import Foundation
import LinearAlgebra
import Testing
import Tokenizer

@testable import Transformer

@Suite("A checkpoint folder is refused")
struct CheckpointRefusalTests {
    private let scratch: SafetensorsScratch

    init() throws {
        scratch = try SafetensorsScratch()
    }

    /// What loading the folder says: an empty text where it loads.
    private func refusal(folder: String? = nil) -> String {
        do {
            _ = try Checkpoint.loadDecoder(folder: folder ?? scratch.folder)
            return ""
        } catch {
            return "\(error)"
        }
    }

    /// What loading a model says after some fields of its config.json were changed, or removed where nil is given.
    private func refusal(_ model: String, _ changes: [String: Any?]) throws -> String {
        try copy(model)
        var fields = try scratch.configuration()
        for (name, value) in changes { fields[name] = value }
        try JSONSerialization.data(withJSONObject: fields)
            .write(to: URL(fileURLWithPath: scratch.path("config.json")))
        return refusal()
    }

    private func copy(_ model: String) throws {
        for file in ["config.json", "model.safetensors"] {
            try? FileManager.default.removeItem(atPath: scratch.path(file))
            try FileManager.default.copyItem(
                atPath: ModelFixture.folder(model) + "/" + file, toPath: scratch.path(file))
        }
    }

    /// Writes a model's tensors after the body has changed them.
    private func rewrite(_ model: String, _ change: (inout [String: NamedParameter]) -> Void) throws {
        try copy(model)
        let parameters = try ModelFixture(name: model).decoder().namedParameters()
        var named = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0) })
        change(&named)
        var writer = SafetensorsWriter()
        for parameter in named.values { writer.add(parameter.name, parameter.values, shape: parameter.shape) }
        try writer.write(to: scratch.path("model.safetensors"))
    }

    @Test("without a config.json, by the folder's name")
    func missingConfiguration() throws {
        try copy("gpt2")
        #expect(refusal() == "")
        try FileManager.default.removeItem(atPath: scratch.path("config.json"))
        let message = refusal()
        #expect(message.hasPrefix(scratch.folder) && message.contains("there is no config.json"))
        let absent = scratch.path("absent")
        let unknown = refusal(folder: absent)
        #expect(unknown.hasPrefix("\(absent): there is no such folder") && unknown.contains("hf download"))
    }

    @Test(
        "when its config.json is no JSON object",
        arguments: ["", "{", "model_type: gpt2", "{\"model_type\": \"gpt2\"", "[1, 2]", "\"gpt2\"", "null"])
    func notJSON(text: String) throws {
        try copy("gpt2")
        try Data(text.utf8).write(to: URL(fileURLWithPath: scratch.path("config.json")))
        #expect(refusal().hasPrefix("config.json: the file: expected a JSON object, found "))
    }

    @Test("without a model type, or with one that is unknown: those supported are named")
    func architecture() throws {
        for value in [nil, NSNull()] as [Any?] {
            let message = try refusal("gpt2", ["model_type": value])
            #expect(message == "config.json: model_type: expected the name of an architecture, found nothing.")
        }
        let supported = [
            "gpt2", "gpt_neo", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "olmo", "olmo2", "phi", "gemma",
            "gemma2", "gemma3_text", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe",
        ]
        #expect(
            try refusal("gpt2", ["model_type": "abacus"])
                == "config.json: model_type is \"abacus\"; the supported ones are \(supported.joined(separator: ", "))."
        )
        #expect(try refusal("gpt2", ["model_type": 7]) == "config.json: model_type: expected a string, found 7.")
        #expect(throws: CheckpointError.unsupportedArchitecture(found: "abacus", supported: supported)) {
            try Checkpoint.loadDecoder(folder: scratch.folder(with: "{\"model_type\": \"abacus\"}"))
        }
    }

    /// A field, a value it cannot have, and what is said of it.
    struct Malformed: Sendable, CustomTestStringConvertible {
        let model: String
        let field: String
        /// As JSON; nil takes the field away.
        let value: String?
        let message: String
        var testDescription: String { "\(field): \(value ?? "absent")" }

        init(_ model: String, _ field: String, _ value: String?, _ message: String) {
            self.model = model
            self.field = field
            self.value = value
            self.message = message
        }
    }

    static let malformed = [
        Malformed("gpt2", "vocab_size", nil, "config.json: vocab_size: expected a number, found nothing."),
        Malformed("gpt2", "vocab_size", "\"97\"", "config.json: vocab_size: expected a number, found \"97\"."),
        Malformed("gpt2", "n_layer", "true", "config.json: n_layer: expected a number, found true."),
        Malformed(
            "gpt2", "n_layer", "4097",
            "config.json: the number of layers: expected no more than 4096, found 4097."),
        Malformed("gpt2", "n_layer", "[2]", "config.json: n_layer: expected a number, found a list."),
        Malformed(
            "gpt2", "n_layer", "0", "config.json: n_layer: expected a whole number from 1 to 16777216, found 0."),
        Malformed(
            "gpt2", "n_layer", "1.5", "config.json: n_layer: expected a whole number from 1 to 16777216, found 1.5."),
        Malformed(
            "gpt2", "n_layer", "-2", "config.json: n_layer: expected a whole number from 1 to 16777216, found -2."),
        Malformed(
            "gpt2", "n_embd", "1e300", "config.json: n_embd: expected a whole number from 1 to 16777216, found 1e+300."),
        Malformed("gpt2", "n_head", "3", "config.json: n_head: expected a divisor of the width (20), found 3."),
        Malformed(
            "gpt2", "layer_norm_epsilon", "0", "config.json: layer_norm_epsilon: expected a positive number, found 0."
        ),
        Malformed(
            "gpt2", "layer_norm_epsilon", "\"x\"", "config.json: layer_norm_epsilon: expected a number, found \"x\"."),
        Malformed(
            "gpt2", "tie_word_embeddings", "1", "config.json: tie_word_embeddings: expected true or false, found 1."),
        Malformed(
            "gpt2", "tie_word_embeddings", "\"no\"",
            "config.json: tie_word_embeddings: expected true or false, found \"no\"."),
        Malformed(
            "gpt2", "activation_function", "\"relu\"",
            "config.json: activation_function is \"relu\"; Tributary supports gelu_new or gelu_pytorch_tanh."),
        Malformed(
            "gpt2", "activation_function", "true", "config.json: activation_function: expected a string, found true."),
        Malformed(
            "gpt2", "scale_attn_weights", "false", "config.json: scale_attn_weights is false; Tributary supports true."),
        Malformed(
            "gpt2", "scale_attn_by_inverse_layer_idx", "true",
            "config.json: scale_attn_by_inverse_layer_idx is true; Tributary supports false."),
        Malformed(
            "gpt2", "add_cross_attention", "true", "config.json: add_cross_attention is true; Tributary supports false."
        ),
        Malformed(
            "llama-biases-untied", "hidden_act", "\"gelu\"",
            "config.json: hidden_act is \"gelu\"; Tributary supports silu or swish."),
        Malformed(
            "llama-biases-untied", "num_key_value_heads", "3",
            "config.json: num_key_value_heads: expected a divisor of num_attention_heads (4), found 3."),
        Malformed(
            "llama-biases-untied", "num_key_value_heads", "8",
            "config.json: num_key_value_heads: expected a divisor of num_attention_heads (4), found 8."),
        Malformed(
            "llama-biases-untied", "head_dim", "5",
            "config.json: head_dim: expected an even number, as rotary positions rotate pairs, found 5."),
        Malformed(
            "llama-biases-untied", "hidden_size", "true", "config.json: hidden_size: expected a number, found true."),
        Malformed("llama-biases-untied", "mlp_bias", "0", "config.json: mlp_bias: expected true or false, found 0."),
        Malformed(
            "llama-biases-untied", "rms_norm_eps", "-1",
            "config.json: rms_norm_eps: expected a positive number, found -1."),
        Malformed(
            "llama-biases-untied", "rope_parameters", "{\"rope_theta\": 0}",
            "config.json: rope_theta: expected a positive number, found 0.0."),
        Malformed(
            "llama-biases-untied", "rope_parameters", "{\"rope_theta\": \"big\"}",
            "config.json: rope_parameters.rope_theta: expected a number, found \"big\"."),
        Malformed(
            "llama-biases-untied", "rope_parameters", "500",
            "config.json: rope_parameters: expected an object, found 500."),
        Malformed(
            "llama-biases-untied", "rope_scaling", "{\"type\": \"linear\"}",
            "config.json: rope_scaling.factor: expected a positive number, found nothing."),
        Malformed(
            "llama-biases-untied", "rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 0}",
            "config.json: rope_scaling.low_freq_factor: expected a positive number, found nothing."),
        Malformed(
            "llama-rope-llama3", "rope_parameters",
            "{\"rope_type\": \"llama3\", \"factor\": 2, \"low_freq_factor\": 4, \"high_freq_factor\": 4}",
            "config.json: rope_parameters.high_freq_factor: expected more than low_freq_factor (4.0), found 4.0."),
        Malformed(
            "gpt-neo", "attention_types", "[[[\"global\"], 2]]",
            "config.json: attention_types: expected lists of \"global\" and \"local\", each with its number of repetitions, "
                + "for 3 layers in total, found a list."),
        Malformed(
            "gpt-neo", "attention_types", "[[[\"global\", \"sparse\"], 1], [[\"local\"], 1]]",
            "config.json: attention_types: expected lists of \"global\" and \"local\", each with its number of repetitions, "
                + "for 3 layers in total, found a list."),
        Malformed(
            "gpt-neox", "rope_parameters", "{\"partial_rotary_factor\": 0.5}",
            "config.json: rotary_pct: expected a share of the head width (6) that is an even number, found 0.5."),
        Malformed(
            "gpt-neox", "rope_parameters", "{\"partial_rotary_factor\": 1.5}",
            "config.json: rotary_pct: expected a number above 0 and up to 1, found 1.5."),
        Malformed("olmo", "clip_qkv", "-1", "config.json: clip_qkv: expected a positive number, found -1."),
        Malformed(
            "gemma3", "layer_types", "[\"full_attention\"]",
            "config.json: layer_types: expected one entry for each of 3 layers, found 1."),
        Malformed(
            "gemma3", "layer_types", "[\"full_attention\", \"full_attention\", \"chunked_attention\"]",
            "config.json: layer_types is \"chunked_attention\"; Tributary supports full_attention or sliding_attention."
        ),
        Malformed(
            "gemma3", "layer_types", "[1, 2, 3]", "config.json: layer_types: expected a list of strings, found a list."),
        Malformed("gemma3", "sliding_window", nil, "config.json: sliding_window: expected a number, found nothing."),
        Malformed(
            "mistral", "num_hidden_layers", "16777216",
            "config.json: the number of layers: expected no more than 4096, found 16777216."),
    ]

    @Test(
        "for a field that is missing, of the wrong type or not supported, by its name", arguments: malformed)
    func malformedField(case malformed: Malformed) throws {
        let value = try malformed.value.map { text in
            try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
        }
        #expect(try refusal(malformed.model, [malformed.field: value]) == malformed.message)
    }

    /// A model, what its configuration says, and all that is said of it.
    struct Unsupported: Sendable, CustomTestStringConvertible {
        let model: String
        /// A JSON object.
        let fields: String
        let message: String
        var testDescription: String { "\(model): \(fields)" }

        init(_ model: String, _ fields: String, _ message: String) {
            self.model = model
            self.fields = fields
            self.message = "config.json: " + message
        }

        static func type(_ type: String, needs part: String) -> Unsupported {
            Unsupported(
                "gpt2", "{\"model_type\": \"\(type)\"}",
                "model_type is \"\(type)\": the model needs \(part), which is not supported.")
        }
    }

    private static let otherScalings = ["yarn", "dynamic", "longrope", "su", "mrope"].flatMap { kind in
        ["rope_type", "type"].flatMap { field in
            ["rope_scaling", "rope_parameters"].map { object in
                Unsupported(
                    "llama-biases-untied", "{\"\(object)\": {\"\(field)\": \"\(kind)\", \"factor\": 4.0}}",
                    "\(object).\(field) is \"\(kind)\"; Tributary supports default or linear or llama3.")
            }
        }
    }

    static let unsupported =
        ["deepseek_v3", "gpt_oss", "dbrx", "phimoe"].map {
            Unsupported.type(
                $0, needs: "another kind of mixture of experts than those of Mixtral, OLMoE and Qwen MoE")
        }
        + ["bloom", "mpt"].map { Unsupported.type($0, needs: "ALiBi position biases") }
        + ["llava", "gemma3", "qwen2_vl"].map { Unsupported.type($0, needs: "a vision or audio tower") }
        + ["bert", "roberta", "modernbert"].map {
            Unsupported.type($0, needs: "attention to later tokens, as encoders have it")
        }
        + ["t5", "bart"].map { Unsupported.type($0, needs: "an encoder and attention to its outputs") }
        + ["mamba", "rwkv"].map { Unsupported.type($0, needs: "recurrent or state-space layers") } + otherScalings + [
            Unsupported(
                "llama-biases-untied", "{\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4}}",
                "quantization_config is present: the model needs reading of quantised safetensors (gptq), which is not "
                    + "supported."),
            Unsupported(
                "llama-biases-untied", "{\"vision_config\": {\"hidden_size\": 8}}",
                "vision_config is present: the model needs a vision tower, which is not supported."),
            Unsupported(
                "gpt2", "{\"is_encoder_decoder\": true}",
                "is_encoder_decoder is true: the model needs an encoder and attention to its outputs, which is not supported."
            ),
            Unsupported(
                "gpt-neox", "{\"alibi\": true}",
                "alibi is true: the model needs ALiBi position biases, which is not supported."),
            Unsupported(
                "mistral", "{\"num_local_experts\": 8}",
                "num_local_experts is 8: the model needs mixture-of-experts layers, which is not supported."),
            Unsupported("olmoe", "{\"clip_qkv\": 8.5}", "clip_qkv is 8.5; Tributary supports none in this model."),
            Unsupported(
                "qwen3-moe", "{\"use_sliding_window\": true}", "use_sliding_window is true; Tributary supports false."),
            Unsupported(
                "mixtral", "{\"n_routed_experts\": 4}",
                "n_routed_experts is 4: the model needs another kind of mixture of experts than those of Mixtral, OLMoE and Qwen MoE, "
                    + "which is not supported."),
            Unsupported(
                "gpt-neo", "{\"activation_function\": \"relu\"}",
                "activation_function is \"relu\"; Tributary supports gelu_new or gelu_pytorch_tanh or gelu_fast or gelu."
            ),
            Unsupported("phi", "{\"qk_layernorm\": true}", "qk_layernorm is true; Tributary supports false."),
            Unsupported(
                "gemma2", "{\"hidden_activation\": \"gelu\"}",
                "hidden_activation is \"gelu\"; Tributary supports gelu_pytorch_tanh."),
            Unsupported(
                "gemma3", "{\"use_bidirectional_attention\": true}",
                "use_bidirectional_attention is true; Tributary supports false."),
        ]

    @Test(
        "when it needs what no family has, in one sentence that names it, before any weight is read",
        arguments: unsupported)
    func unsupportedParts(case unsupported: Unsupported) throws {
        let changes = try #require(
            try JSONSerialization.jsonObject(with: Data(unsupported.fields.utf8)) as? [String: Any])
        try copy(unsupported.model)
        try FileManager.default.removeItem(atPath: scratch.path("model.safetensors"))
        var fields = try scratch.configuration()
        fields.merge(changes) { $1 }
        try JSONSerialization.data(withJSONObject: fields)
            .write(to: URL(fileURLWithPath: scratch.path("config.json")))
        let message = refusal()
        #expect(message == unsupported.message)
        #expect(message.components(separatedBy: ". ").count == 1)
    }

    @Test(
        "when its mixtures of experts are described by impossible numbers",
        arguments: [
            (
                "olmoe", ["num_experts_per_tok": 6],
                "num_experts_per_tok: expected no more than there are experts (5), found 6."
            ),
            ("olmoe", ["num_experts": 5_000], "num_experts: expected no more than 4096 experts, found 5000."),
            ("olmoe", ["num_experts": 0], "num_experts: expected a whole number from 1 to 16777216, found 0."),
            (
                "mixtral", ["num_experts": 8],
                "num_experts is 8 and num_local_experts is 4, which contradict each other. Remove the wrong one."
            ),
            (
                "qwen2-moe", ["decoder_sparse_step": 0],
                "decoder_sparse_step: expected a whole number from 1 to 16777216, found 0."
            ),
            (
                "qwen2-moe", ["mlp_only_layers": [3]],
                "mlp_only_layers: expected numbers of layers, from 0 to 2, found a list."
            ),
            (
                "qwen2-moe", ["mlp_only_layers": ["a"]],
                "mlp_only_layers: expected numbers of layers, from 0 to 2, found a list."
            ),
        ] as [(String, [String: any Sendable], String)])
    func impossibleMixtures(model: String, changes: [String: any Sendable], message: String) throws {
        #expect(try refusal(model, changes.mapValues { $0 as Any? }) == "config.json: " + message)
    }

    @Test("when all experts of a block are in one tensor, by its name")
    func stackedExperts() throws {
        try copy("olmoe")
        let file = try SafetensorsFile(path: scratch.path("model.safetensors"))
        var writer = SafetensorsWriter(metadata: [:])
        for (name, tensor) in file.tensors where !name.contains(".experts.") {
            let values = try file.doubles(named: name).map(Float.init)
            writer.add(
                name, Matrix(rows: 1, columns: values.count, elements: values), shape: tensor.shape)
        }
        let stacked = "model.layers.0.mlp.experts.gate_up_proj"
        writer.add(stacked, Matrix(rows: 2, columns: 3), shape: [1, 2, 3])
        try writer.write(to: scratch.path("model.safetensors"))
        #expect(refusal().contains("\"\(stacked)\" has the weights of all experts in one tensor"))
    }

    @Test("that is quantised where a field says null is not: null is nothing")
    func nullOptions() throws {
        #expect(try refusal("gpt2", ["quantization_config": NSNull(), "vision_config": NSNull()]) == "")
    }

    @Test("when heads do not divide the width and no head width is given")
    func headsWithoutWidth() throws {
        let message = try refusal(
            "llama-biases-untied", ["head_dim": nil, "num_attention_heads": 3, "num_key_value_heads": 1])
        #expect(message == "config.json: num_attention_heads: expected a divisor of the width (20), found 3.")
    }

    @Test(
        "without one of its tensors, by the tensor's name",
        arguments: ["gpt2", "llama-biases-untied"] + ModelFixture.families)
    func missingTensor(model: String) throws {
        for name in try ModelFixture(name: model).decoder().namedParameters().map(\.name) {
            try rewrite(model) { $0[name] = nil }
            let message = refusal()
            #expect(message.hasPrefix(scratch.folder))
            #expect(message.contains("there is no tensor \"\(name)\""), "\(name)")
        }
        // The same folder, whole.
        try rewrite(model) { _ in }
        #expect(refusal() == "")
    }

    @Test("for a tensor of another shape, with both shapes")
    func wrongShape() throws {
        let name = "model.layers.1.mlp.up_proj.weight"
        try rewrite("llama-biases-untied") { parameters in
            parameters[name] = NamedParameter(name: name, shape: [20, 26], values: Matrix(rows: 20, columns: 26))
        }
        #expect(
            refusal().hasPrefix("model.safetensors: tensor \"\(name)\" is [20, 26]; expected [26, 20]."))
        // config.json of another model.
        #expect(
            try refusal("llama-biases-untied", ["intermediate_size": 27])
                .hasPrefix(
                    "model.safetensors: tensor \"model.layers.0.mlp.gate_proj.weight\" is [26, 20]; expected [27, 20].")
        )
        #expect(
            try refusal("gpt2", ["vocab_size": 96])
                .hasPrefix("model.safetensors: tensor \"transformer.wte.weight\" is [97, 20]; expected [96, 20]."))
        let missing = try refusal("gpt2", ["n_layer": 3])
        #expect(missing.contains("there is no tensor \"transformer.h.2.ln_1.weight\""))
    }

    @Test("for a value that is not finite, with its place", arguments: [Float.nan, .infinity, -.infinity])
    func nonFinite(value: Float) throws {
        let name = "transformer.h.1.mlp.c_fc.weight"
        try rewrite("gpt2") { parameters in
            guard let parameter = parameters[name] else { return }
            var values = parameter.values
            values[3, 5] = value
            parameters[name] = NamedParameter(name: name, shape: parameter.shape, values: values)
        }
        let shown = value.isNaN ? "NaN" : "\(value)"
        #expect(
            refusal().hasPrefix(
                "model.safetensors: tensor \"\(name)\" holds \(shown) at row 3, column 5; expected finite"))
    }

    @Test("when its weights were cut short or are not there")
    func truncated() throws {
        try copy("gpt2")
        let path = scratch.path("model.safetensors")
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for count in [whole.count - 1, whole.count / 2, 100] {
            try scratch.write(whole[..<count])
            let message = refusal()
            #expect(message.hasPrefix("model.safetensors: is \(count) bytes long; its header says"))
        }
        try scratch.write(Data())
        #expect(refusal().hasPrefix("model.safetensors: is 0 bytes long"))
        try FileManager.default.removeItem(atPath: path)
        #expect(refusal().contains("neither model.safetensors nor model.safetensors.index.json"))
    }

    @Test("when its tokenizer has more tokens than the model")
    func largerTokenizer() throws {
        try copy("gpt2")
        let folder = URL(fileURLWithPath: #filePath)
            .appendingPathComponent("../../../TokenizerTests/Fixtures/gpt2").standardizedFileURL
        let tokenizer = folder.appendingPathComponent("tokenizer.json").path
        try FileManager.default.copyItem(atPath: tokenizer, toPath: scratch.path("tokenizer.json"))
        let count = try Tokenizer(contentsOf: folder).vocabularyCount
        #expect(throws: CheckpointError.vocabularyMismatch(tokenizer: count, model: 97)) {
            try Checkpoint(folder: scratch.folder)
        }
        let message = CheckpointError.vocabularyMismatch(tokenizer: count, model: 97).description
        #expect(message.contains("tokenizer.json has ids up to \(count - 1)"))
        #expect(message.contains("ends at 96"))
    }

    @Test("without a tokenizer, by the missing file's name")
    func missingTokenizer() throws {
        try copy("gpt2")
        let error = #expect(throws: TokenizerError.self) { try Checkpoint(folder: scratch.folder) }
        #expect(error.map { "\($0)".contains("tokenizer.json") } == true)
    }
}

extension SafetensorsScratch {
    /// The fields of the folder's config.json.
    func configuration() throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path("config.json")))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    /// The folder after its config.json was given this text.
    fileprivate func folder(with configuration: String) throws -> String {
        try write(Data(configuration.utf8), as: "config.json")
        return folder
    }
}
