/// Models that are known and not supported, each with what it would need.
enum UnsupportedModels {
    /// What is missing, and the values of `model_type` that need it.
    static let missing: [(part: String, types: Set<String>)] = [
        (
            "mixture-of-experts layers",
            [
                "dbrx", "deepseek_v2", "deepseek_v3", "ernie4_5_moe", "glm4_moe", "gpt_oss", "granitemoe", "grok-1",
                "hunyuan_v1_moe", "jamba", "jetmoe", "llama4", "llama4_text", "minimax", "mixtral", "nllb-moe", "olmoe",
                "phimoe", "qwen2_moe", "qwen3_moe", "qwen3_next", "switch_transformers",
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

    /// Refuses what no family here has, whatever the configuration calls itself.
    static func refuseOptions(of configuration: ModelConfiguration) throws {
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
            throw CheckpointError.unsupportedPart(
                "mixture-of-experts layers", field: field, found: configuration.shown(field))
        }
    }
}
