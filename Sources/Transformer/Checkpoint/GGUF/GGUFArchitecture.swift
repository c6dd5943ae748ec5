/// Translates the names in GGUF files of one architecture into those of Hugging Face transformers.
struct GGUFArchitecture: Sendable {
    /// `general.architecture`, and the prefix of the metadata's keys.
    let name: String
    /// `model_type` of a `config.json`.
    let modelType: String
    /// Metadata that become fields of `config.json` unchanged.
    let fields: [String: String]
    /// Fields that are constant for the architecture and absent from GGUF.
    var constants: [String: String] = [:]
    let names: Names
    /// Whether converters reorder the rows of queries and keys, so that rotary positions rotate neighbours rather than halves.
    var interleavesRotary = false
    /// Whether the fused attention layer holds each head's query, key and value side by side in a Hugging Face checkpoint, but all
    /// queries, all keys and all values one after another in GGUF.
    var groupsFusedHeads = false
    /// Whether Hugging Face stores linear weights inputs × outputs.
    var transposesLinear = false
    /// Whether converters add 1 to the gains of norms.
    var addsOneToNorms = false

    /// Hugging Face's names of modules, by their GGUF names.
    struct Names: Sendable {
        let model: [String: String]
        let blockPrefix: String
        let block: [String: String]
    }

    /// The architectures whose family is supported.
    static var supported: [GGUFArchitecture] {
        let families = Set(ModelFamily.all.map(\.name))
        return all.filter { families.contains($0.modelType) }
    }

    private static let all: [GGUFArchitecture] = [
        GGUFArchitecture(
            name: "llama", modelType: "llama", fields: gatedFields, constants: ["hidden_act": "silu"],
            names: .llamaLike(), interleavesRotary: true),
        GGUFArchitecture(
            name: "qwen2", modelType: "qwen2", fields: gatedFields, constants: ["hidden_act": "silu"],
            names: .llamaLike()),
        GGUFArchitecture(
            name: "qwen3", modelType: "qwen3", fields: gatedFields, constants: ["hidden_act": "silu"],
            names: .llamaLike()),
        GGUFArchitecture(
            name: "olmo", modelType: "olmo",
            fields: gatedFields.merging(["attention.clamp_kqv": "clip_qkv"]) { $1 },
            constants: ["hidden_act": "silu"], names: .llamaLike(), interleavesRotary: true),
        GGUFArchitecture(
            name: "olmo2", modelType: "olmo2", fields: gatedFields, constants: ["hidden_act": "silu"],
            names: .llamaLike([
                "attn_norm": nil, "ffn_norm": nil, "post_attention_norm": "post_attention_layernorm",
                "post_ffw_norm": "post_feedforward_layernorm",
            ])),
        GGUFArchitecture(
            name: "gemma", modelType: "gemma", fields: gatedFields,
            constants: ["hidden_activation": "gelu_pytorch_tanh"], names: .llamaLike(), addsOneToNorms: true),
        GGUFArchitecture(
            name: "gemma2", modelType: "gemma2",
            fields: gatedFields.merging([
                "attn_logit_softcapping": "attn_logit_softcapping",
                "final_logit_softcapping": "final_logit_softcapping", "attention.sliding_window": "sliding_window",
            ]) { $1 },
            constants: ["hidden_activation": "gelu_pytorch_tanh"], names: .gemma, addsOneToNorms: true),
        GGUFArchitecture(
            name: "gemma3", modelType: "gemma3_text",
            fields: gatedFields.merging(["attention.sliding_window": "sliding_window"]) { $1 },
            constants: ["hidden_activation": "gelu_pytorch_tanh"], names: .gemma, addsOneToNorms: true),
        GGUFArchitecture(
            name: "gpt2", modelType: "gpt2",
            fields: [
                "embedding_length": "n_embd", "block_count": "n_layer", "attention.head_count": "n_head",
                "context_length": "n_positions", "feed_forward_length": "n_inner",
                "attention.layer_norm_epsilon": "layer_norm_epsilon",
            ], constants: ["activation_function": "gelu_new"],
            names: Names(
                model: [
                    "token_embd": "transformer.wte", "position_embd": "transformer.wpe",
                    "output_norm": "transformer.ln_f", "output": "lm_head",
                ], blockPrefix: "transformer.h.",
                block: [
                    "attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_norm": "ln_2",
                    "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj",
                ]), transposesLinear: true),
        GGUFArchitecture(
            name: "gptneox", modelType: "gpt_neox",
            fields: plainFields.merging(["use_parallel_residual": "use_parallel_residual"]) { $1 },
            constants: ["hidden_act": "gelu"],
            names: Names(
                model: [
                    "token_embd": "gpt_neox.embed_in", "output_norm": "gpt_neox.final_layer_norm",
                    "output": "embed_out",
                ], blockPrefix: "gpt_neox.layers.",
                block: [
                    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
                    "attn_qkv": "attention.query_key_value", "attn_output": "attention.dense",
                    "ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h",
                ]), groupsFusedHeads: true),
        GGUFArchitecture(
            name: "phi2", modelType: "phi", fields: plainFields, constants: ["hidden_act": "gelu_new"],
            names: Names(
                model: [
                    "token_embd": "model.embed_tokens", "output_norm": "model.final_layernorm", "output": "lm_head",
                ], blockPrefix: "model.layers.",
                block: [
                    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
                    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.dense", "ffn_up": "mlp.fc1",
                    "ffn_down": "mlp.fc2",
                ])),
    ]

    private static let plainFields = [
        "embedding_length": "hidden_size", "block_count": "num_hidden_layers",
        "attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads",
        "context_length": "max_position_embeddings", "feed_forward_length": "intermediate_size",
        "attention.layer_norm_epsilon": "layer_norm_eps",
    ]

    private static let gatedFields = plainFields.merging([
        "attention.key_length": "head_dim", "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    ]) { $1 }
}

extension GGUFArchitecture.Names {
    /// Llama's names, which many families share, with changes; nil removes a name.
    static func llamaLike(_ changes: [String: String?] = [:]) -> Self {
        var block = [
            "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
            "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
            "attn_k_norm": "self_attn.k_norm", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
            "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
        ]
        for (name, module) in changes { block[name] = module }
        return Self(
            model: ["token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"],
            blockPrefix: "model.layers.", block: block)
    }

    static let gemma = llamaLike([
        "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    ])

    /// The name of a tensor in a Hugging Face checkpoint, and the GGUF name of its module; nil for unknown tensors.
    func translate(_ name: String) -> (name: String, module: String)? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard let kind = parts.last, kind == "weight" || kind == "bias" else { return nil }
        if parts.count == 2, let module = model[parts[0]] { return ("\(module).\(kind)", parts[0]) }
        guard parts.count == 4, parts[0] == "blk", let index = Int(parts[1]), index >= 0, "\(index)" == parts[1],
            let module = block[parts[2]]
        else { return nil }
        return ("\(blockPrefix)\(index).\(module).\(kind)", parts[2])
    }
}
