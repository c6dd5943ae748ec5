/// A family of models: how its `config.json` describes a decoder, and the names of its tensors.
///
/// To support another family, add it to ``all``.
struct ModelFamily: Sendable {
    /// `model_type` in `config.json`.
    let name: String
    /// The class of the family's causal language model, as `architectures` names it.
    let causalClass: String
    /// The fields of ``ComputationFields/all`` that ``describe`` follows.
    var follows: Set<String> = []
    let describe: @Sendable (ModelConfiguration) throws -> DecoderDescription
    let names: TensorNames

    static let all: [ModelFamily] = [
        .gpt2, .gptNeo, .gptNeoX, .llama, .mistral, .qwen2, .qwen3, .olmo, .olmo2, .phi, .gemma, .gemma2, .gemma3,
        .mixtral, .olmoe, .qwen2MoE, .qwen3MoE,
    ]

    static func named(_ name: String) throws -> ModelFamily {
        guard let family = all.first(where: { $0.name == name }) else {
            throw UnsupportedModels.refusal(of: name, supported: all.map(\.name))
        }
        return family
    }

    /// The decoder that a configuration of this family describes.
    ///
    /// - Throws: ``CheckpointError`` for fields that are missing or malformed, and for options that are not supported.
    func description(of configuration: ModelConfiguration) throws -> DecoderDescription {
        try UnsupportedModels.refuseOptions(of: configuration, hasExperts: names.experts != nil)
        // Capitals are ignored: early checkpoints have LLaMAForCausalLM.
        for name in try configuration.strings("architectures") ?? [] where name.lowercased() != causalClass.lowercased()
        {
            throw CheckpointError.otherClass(found: name, expected: causalClass)
        }
        let description = try describe(configuration)
        try configuration.requireListable(description.layers)
        try ComputationFields.refuseOthers(than: follows, in: configuration, of: description)
        return description
    }

    /// The fields that every family with rotary positions follows.
    static let rotaryFields: Set<String> = ["rope_parameters", "rope_scaling"]

    /// The fields that Llama and its descendants follow.
    static let llamaFields = rotaryFields.union(["head_dim"])
}

/// The names of a family's modules, without ".weight" and ".bias". Those of a block follow its prefix and number.
///
/// A norm without a name does not exist.
struct TensorNames: Sendable {
    /// A prefix of every name except the head's, which some checkpoints omit.
    var optionalPrefix = ""
    var tokenEmbedding: String
    var positionEmbedding: String?
    var blockPrefix: String
    var attentionNorm: String?
    var attentionInputs: [String]
    var queryNorm: String?
    var keyNorm: String?
    var attentionOutput: String
    var attentionOutputNorm: String?
    var feedForwardNorm: String?
    var gate: String?
    var up: String
    var down: String
    /// The names of a mixture of experts, if blocks have them.
    var experts: ExpertNames?
    var feedForwardOutputNorm: String?
    var finalNorm: String
    var head = "lm_head"
    /// Whether linear weights are stored inputs × outputs.
    var storesTransposed = false
    /// Tensors that some versions of the family store besides the weights, although they compute them again when they load a model: in a
    /// block, and in the model.
    var blockBuffers: [String] = []
    var buffers: [String] = []

    /// Whether a tensor is one of the family's buffers in a model with this many layers.
    func isBuffer(_ name: String, layers: Int) -> Bool {
        let full = name.hasPrefix(optionalPrefix) ? name : optionalPrefix + name
        if buffers.contains(full) { return true }
        guard full.hasPrefix(blockPrefix) else { return false }
        let parts = full.dropFirst(blockPrefix.count).split(separator: ".", maxSplits: 1)
        guard parts.count == 2, let layer = Int(parts[0]), (0..<layers).contains(layer) else { return false }
        return blockBuffers.contains(String(parts[1]))
    }
}

/// The names of a mixture's modules in a block.
struct ExpertNames: Sendable {
    var router = "mlp.gate"
    /// The number of an expert follows, and then a dot and the name of its layer.
    var expertPrefix = "mlp.experts."
    var gate = "gate_proj"
    var up = "up_proj"
    var down = "down_proj"
    /// The name of a layer of the shared expert follows.
    var sharedPrefix = "mlp.shared_expert."
    var sharedGate = "mlp.shared_expert_gate"
}

extension TensorNames {
    /// The names of Llama, which most later families keep.
    static let llama = TensorNames(
        tokenEmbedding: "model.embed_tokens", blockPrefix: "model.layers.", attentionNorm: "input_layernorm",
        attentionInputs: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        attentionOutput: "self_attn.o_proj", feedForwardNorm: "post_attention_layernorm", gate: "mlp.gate_proj",
        up: "mlp.up_proj", down: "mlp.down_proj", finalNorm: "model.norm",
        blockBuffers: ["self_attn.rotary_emb.inv_freq"],
        buffers: ["model.rotary_emb.inv_freq", "model.rotary_emb_local.inv_freq"])

    /// These names with norms of each head's query and key.
    var withQueryKeyNorm: TensorNames {
        var names = self
        names.queryNorm = "self_attn.q_norm"
        names.keyNorm = "self_attn.k_norm"
        return names
    }

    /// These names with mixtures of experts.
    func withExperts(_ experts: ExpertNames = ExpertNames()) -> TensorNames {
        var names = self
        names.experts = experts
        return names
    }
}
