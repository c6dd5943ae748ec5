/// Translates the names in GGUF files of one architecture into those of Hugging Face transformers.
struct GGUFArchitecture: Sendable {
    /// `general.architecture`, and the prefix of the metadata's keys.
    let name: String
    /// `model_type` of a `config.json`.
    let modelType: String
    /// The keys of metadata that become fields of `config.json` unchanged, with the names of those fields.
    let fields: [String: String]
    /// Fields that are constant for the architecture and absent from GGUF.
    var constants: [String: String] = [:]
    /// Whether converters reorder the rows of queries and keys, so that rotary positions rotate neighbours rather than halves.
    var interleavesRotary = false
    /// Whether the fused attention layer holds each head's query, key and value side by side in a Hugging Face checkpoint, but all
    /// queries, all keys and all values one after another in GGUF.
    var groupsFusedHeads = false
    /// Whether Hugging Face stores linear weights inputs × outputs.
    var transposesLinear = false
    /// Whether converters add 1 to the gains of norms.
    var addsOneToNorms = false

    /// The architectures whose family is supported.
    static var supported: [GGUFArchitecture] {
        let families = Set(ModelFamily.all.map(\.name))
        return all.filter { families.contains($0.modelType) }
    }

    private static let all: [GGUFArchitecture] = [
        GGUFArchitecture(
            name: "llama", modelType: "llama", fields: gatedFields, constants: ["hidden_act": "silu"],
            interleavesRotary: true),
        GGUFArchitecture(
            name: "qwen2", modelType: "qwen2", fields: gatedFields, constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            name: "qwen3", modelType: "qwen3", fields: gatedFields, constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            name: "olmo", modelType: "olmo", fields: gatedFields, constants: ["hidden_act": "silu"],
            interleavesRotary: true),
        GGUFArchitecture(
            name: "olmo2", modelType: "olmo2", fields: gatedFields, constants: ["hidden_act": "silu"]),
        GGUFArchitecture(
            name: "gemma", modelType: "gemma", fields: gatedFields,
            constants: ["hidden_activation": "gelu_pytorch_tanh"], addsOneToNorms: true),
        GGUFArchitecture(
            name: "gemma2", modelType: "gemma2", fields: gatedFields,
            constants: ["hidden_activation": "gelu_pytorch_tanh"], addsOneToNorms: true),
        GGUFArchitecture(
            name: "gemma3", modelType: "gemma3_text", fields: gatedFields,
            constants: ["hidden_activation": "gelu_pytorch_tanh"], addsOneToNorms: true),
        GGUFArchitecture(
            name: "gpt2", modelType: "gpt2",
            fields: [
                "embedding_length": "n_embd", "block_count": "n_layer", "attention.head_count": "n_head",
                "context_length": "n_positions", "feed_forward_length": "n_inner",
                "attention.layer_norm_epsilon": "layer_norm_epsilon",
            ], constants: ["activation_function": "gelu_new"], transposesLinear: true),
        GGUFArchitecture(
            name: "gptneox", modelType: "gpt_neox", fields: plainFields, constants: ["hidden_act": "gelu"],
            groupsFusedHeads: true),
        GGUFArchitecture(
            name: "phi2", modelType: "phi", fields: plainFields, constants: ["hidden_act": "gelu_new"]),
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

/// Hugging Face's names of a family's modules, by their GGUF names.
struct GGUFNames {
    private let model: [String: String]
    private let blockPrefix: String
    private let block: [String: String]

    init(_ names: TensorNames) {
        let model: [String: String?] = [
            "token_embd": names.tokenEmbedding, "position_embd": names.positionEmbedding,
            "output_norm": names.finalNorm, "output": names.head,
        ]
        self.model = model.compactMapValues { $0 }
        blockPrefix = names.blockPrefix
        let inputs = names.attentionInputs.count == 1 ? ["attn_qkv"] : ["attn_q", "attn_k", "attn_v"]
        let block: [String: String?] = [
            "attn_norm": names.attentionNorm, "attn_q_norm": names.queryNorm, "attn_k_norm": names.keyNorm,
            "attn_output": names.attentionOutput, "post_attention_norm": names.attentionOutputNorm,
            "ffn_norm": names.feedForwardNorm, "ffn_gate": names.gate, "ffn_up": names.up, "ffn_down": names.down,
            "post_ffw_norm": names.feedForwardOutputNorm,
        ]
        self.block = block.compactMapValues { $0 }.merging(zip(inputs, names.attentionInputs)) { $1 }
    }

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
