/// Fields of `config.json` that change a model's computation in one family or another.
///
/// A field that the family does not follow must have the value that changes nothing. Any other value is refused, even if the family's
/// reference code ignores the field, since its author expected an effect. Fields that no family's code reads, or that only affect
/// training, are ignored. Fields that say which tensors exist (biases, norms with gains, sizes) are checked against the tensors.
enum ComputationFields {
    struct Field: Sendable {
        let name: String
        let neutral: Neutral
    }

    /// The values that change nothing, besides null.
    enum Neutral: Sendable {
        case boolean(Bool)
        case number(Double)
        case words([String])
        /// False, or an empty list.
        case nothing
        /// A window of at least the context.
        case contextLength
        /// The width of a head.
        case headWidth
        /// Full attention in every layer.
        case fullAttention
    }

    static let all =
        fields(.number(1), scales) + fields(.nothing, caps + positions + windows + parts)
        + fields(.boolean(false), switches)
        + fields(.boolean(true), ["scale_attn_weights", "is_causal", "do_layer_norm_before"])
        + fields(.number(1), ["partial_rotary_factor", "rotary_pct", "rope_pct"])
        + fields(.number(0), ["num_kv_shared_layers"])
        + fields(.words(["absolute", "learned", "learned_absolute", "rope", "rotary"]), ["position_embedding_type"])
        + fields(.contextLength, ["sliding_window", "attention_window_size"])
        + fields(.headWidth, ["head_dim"]) + fields(.fullAttention, ["layer_types"])

    private static func fields(_ neutral: Neutral, _ names: [String]) -> [Field] {
        names.map { Field(name: $0, neutral: neutral) }
    }

    /// Factors of embeddings, branches, scores and logits: Granite, Cohere, MiniCPM, Grok, Falcon-H1, BTLM.
    private static let scales = [
        "embedding_multiplier", "embedding_multiplier_scale", "scale_emb", "mup_embeddings_scale",
        "residual_multiplier",
        "residual_scale", "attention_in_multiplier", "attention_out_multiplier", "key_multiplier", "logit_scale",
        "logits_scaling", "lm_head_multiplier", "output_multiplier", "output_multiplier_scale", "mup_output_alpha",
        "mup_width_scale",
    ]

    /// Scales and caps without a neutral number: Gemma, Granite, MiniCPM, OLMo, DBRX, gpt-oss.
    private static let caps = [
        "attention_multiplier", "attn_scale", "softmax_scale", "scale_depth", "dim_model_base", "mlp_multipliers",
        "query_pre_attn_scalar", "attn_logit_softcapping", "attention_logit_cap", "final_logit_softcapping",
        "logits_soft_cap", "output_logit_soft_cap", "clip_qkv", "swiglu_limit", "activation_sparsity_pattern",
    ]

    /// GPT-J, GPT-NeoX, Gemma 3, SmolLM3, Llama 4.
    private static let positions = [
        "rope_parameters", "rope_scaling", "rotary_dim", "rotary_emb_base", "rope_local_base_freq", "no_rope_layers",
        "no_rope_layer_interval", "layer_rope_theta", "llama_4_scaling",
    ]

    /// GPT-Neo, Gemma 3, Llama 4.
    private static let windows = [
        "attention_types", "window_size", "sliding_window_pattern", "attention_chunk_size",
    ]

    /// Configurations of parts of the model: MPT, DeepSeek, towers.
    private static let parts = [
        "attn_config", "ffn_config", "kv_lora_rank", "q_lora_rank", "text_config", "audio_config",
    ]

    private static let switches = [
        "scale_attn_by_inverse_layer_idx", "add_cross_attention", "use_parallel_residual", "parallel_attn",
        "new_decoder_architecture", "qk_layernorm", "qk_norm", "use_qk_norm", "use_post_norm",
        "apply_residual_connection_post_layernorm", "use_bidirectional_attention", "prefix_lm", "use_sliding_window",
        "rope_interleave", "rope_interleaved", "use_mrope", "use_dynamic_ntk", "use_logn_attn",
        "attn_temperature_tuning",
        "attn_output_gate", "attention_k_eq_v", "scale_embedding", "mup_enabled", "mup_scale_qk_dot_by_d",
    ]

    /// Refuses fields that are neither followed nor neutral.
    ///
    /// - Throws: ``CheckpointError/unsupportedOption(field:found:supported:)``.
    static func refuseOthers(
        than followed: Set<String>, in configuration: ModelConfiguration, of description: DecoderDescription
    ) throws {
        for field in all where !followed.contains(field.name) {
            try field.neutral.require(field.name, in: configuration, of: description)
        }
    }
}

extension ComputationFields.Neutral {
    fileprivate func require(
        _ name: String, in configuration: ModelConfiguration, of description: DecoderDescription
    ) throws {
        func refuse(unless isNeutral: Bool, supported: String) throws {
            guard !isNeutral else { return }
            throw CheckpointError.unsupportedOption(
                field: name, found: configuration.shown(name), supported: supported)
        }
        switch self {
        case .boolean(let value): try configuration.require(name, toBe: value)
        case .words(let words): try configuration.require(name, oneOf: words)
        case .number(let value):
            try refuse(unless: try configuration.number(name) ?? value == value, supported: "\(Int(value))")
        case .nothing:
            try refuse(unless: configuration.hasNothing(name), supported: "none in this model")
        case .contextLength:
            let window = try configuration.number(name) ?? .infinity
            try refuse(
                unless: window >= Double(description.contextLength),
                supported: "none in this model, or one of at least its context (\(description.contextLength))")
        case .headWidth:
            let width = Double(description.headWidth)
            try refuse(unless: try configuration.number(name) ?? width == width, supported: "\(description.headWidth)")
        case .fullAttention:
            let types = try configuration.strings(name) ?? []
            try refuse(unless: types.allSatisfy { $0 == "full_attention" }, supported: "full_attention in every layer")
        }
    }
}

/// Models that are known but not supported, with the part that each would need.
enum UnsupportedModels {
    private static let otherExperts = "another kind of mixture of experts than those of Mixtral, OLMoE and Qwen MoE"

    /// The missing parts, and the values of `model_type` that need them.
    static let missing: [(part: String, types: Set<String>)] = [
        (
            otherExperts,
            [
                "afmoe", "arctic", "bailing_moe", "cohere2_moe", "dbrx", "deepseek_v2", "deepseek_v3", "doge", "dots1",
                "ernie4_5_moe", "exaone_moe", "flex_olmo", "glm4_moe", "glm4_moe_lite", "gpt_oss", "granitemoe",
                "granitemoehybrid", "granitemoeshared", "grok-1", "hunyuan_v1_moe", "jamba", "jetmoe", "kimi_linear",
                "lfm2_moe", "llama4", "llama4_text", "longcat_flash", "minimax", "minimax_m2", "nllb-moe", "phimoe",
                "qwen3_5_moe", "qwen3_next", "sarvam_moe", "switch_transformers",
            ]
        ),
        ("ALiBi position biases", ["bloom", "mpt"]),
        (
            "a vision or audio tower",
            [
                "aya_vision", "blip-2", "fuyu", "gemma3", "gemma3n", "git", "idefics", "idefics2", "idefics3",
                "instructblip", "internvl", "kosmos-2", "llava", "llava_next", "llava_onevision", "mistral3", "mllama",
                "paligemma", "phi4_multimodal", "pixtral", "qwen2_5_vl", "qwen2_audio", "qwen2_vl", "qwen3_vl",
                "smolvlm", "whisper",
            ]
        ),
        (
            "attention to later tokens, as encoders have it",
            [
                "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "ernie", "longformer",
                "modernbert", "mpnet", "nomic_bert", "roberta", "xlm-roberta", "xlnet",
            ]
        ),
        (
            "an encoder and attention to its outputs",
            [
                "bart", "blenderbot", "led", "longt5", "m2m_100", "marian", "mbart", "mt5", "pegasus", "t5", "t5gemma",
                "umt5",
            ]
        ),
        (
            "recurrent or state-space layers",
            [
                "bamba", "falcon_h1", "falcon_mamba", "mamba", "mamba2", "recurrent_gemma", "rwkv", "xlstm", "zamba",
                "zamba2",
            ]
        ),
    ]

    static func refusal(of type: String, supported: [String]) -> CheckpointError {
        guard let part = missing.first(where: { $0.types.contains(type) })?.part else {
            return .unsupportedArchitecture(found: type, supported: supported)
        }
        return .unsupportedPart(part, field: "model_type", found: "\"\(type)\"")
    }

    /// Refuses options that no supported family has, whatever `model_type` says.
    ///
    /// - Parameter hasExperts: Whether the family has mixtures of experts.
    static func refuseOptions(of configuration: ModelConfiguration, hasExperts: Bool) throws {
        if let quantization = try configuration.object("quantization_config") {
            let method = try quantization.string("quant_method") ?? "of an unnamed kind"
            throw CheckpointError.unsupportedPart(
                "reading of quantised safetensors (\(method))",
                field: "quantization_config", found: "present")
        }
        if try configuration.object("quantization") != nil {
            throw CheckpointError.unsupportedPart(
                "reading of quantised safetensors (MLX)", field: "quantization", found: "present")
        }
        if try configuration.object("vision_config") != nil {
            throw CheckpointError.unsupportedPart("a vision tower", field: "vision_config", found: "present")
        }
        if try configuration.boolean("is_encoder_decoder", default: false) {
            throw CheckpointError.unsupportedPart(
                "an encoder and attention to its outputs", field: "is_encoder_decoder", found: "true")
        }
        if try configuration.boolean("alibi", default: false) {
            throw CheckpointError.unsupportedPart("ALiBi position biases", field: "alibi", found: "true")
        }
        for field in ["num_local_experts", "num_experts", "n_routed_experts"] {
            guard let experts = try configuration.number(field), experts > 0 else { continue }
            guard !hasExperts || !ModelConfiguration.expertCounts.contains(field) else { continue }
            throw CheckpointError.unsupportedPart(
                hasExperts ? otherExperts : "mixture-of-experts layers",
                field: field, found: configuration.shown(field))
        }
    }
}
