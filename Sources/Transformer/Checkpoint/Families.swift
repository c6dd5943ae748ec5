/// A family of models: how its `config.json` describes a decoder, and what its tensors are called.
///
/// Adding a family is adding one of these to ``all``.
struct ModelFamily: Sendable {
    /// `model_type` in `config.json`.
    let name: String
    let describe: @Sendable (ModelConfiguration) throws -> DecoderDescription
    let names: TensorNames

    static let all: [ModelFamily] = [.gpt2, .llama]

    static func named(_ name: String) throws -> ModelFamily {
        guard let family = all.first(where: { $0.name == name }) else {
            throw CheckpointError.unsupportedArchitecture(found: name, supported: all.map(\.name))
        }
        return family
    }
}

/// Names of a family's modules, without ".weight" and ".bias"; those of a block follow its prefix and number.
struct TensorNames: Sendable {
    /// What some checkpoints leave out in front of every name but the head's.
    let optionalPrefix: String
    let tokenEmbedding: String
    let positionEmbedding: String?
    let blockPrefix: String
    let attentionNorm: String
    let attentionInputs: [String]
    let attentionOutput: String
    let feedForwardNorm: String
    let gate: String?
    let up: String
    let down: String
    let finalNorm: String
    let head: String
    /// Whether linear weights are stored inputs × outputs.
    let storesTransposed: Bool
}

extension ModelFamily {
    static let gpt2 = ModelFamily(
        name: "gpt2",
        describe: { configuration in
            try configuration.require("activation_function", oneOf: ["gelu_new", "gelu_pytorch_tanh"])
            try configuration.require("scale_attn_weights", toBe: true)
            try configuration.require("scale_attn_by_inverse_layer_idx", toBe: false)
            try configuration.require("add_cross_attention", toBe: false)
            let width = try configuration.dimension("n_embd")
            let heads = try configuration.dimension("n_head")
            return DecoderDescription(
                architecture: "gpt2", vocabulary: try configuration.dimension("vocab_size"),
                contextLength: try configuration.dimension("n_positions"), width: width,
                layers: try configuration.dimension("n_layer"), heads: heads, keyValueHeads: heads,
                headWidth: try headWidth(width: width, heads: heads, field: "n_head"),
                feedForwardWidth: try configuration.dimension("n_inner", default: 4 * width), normalization: .layer,
                normalizationEpsilon: try configuration.epsilon("layer_norm_epsilon", default: 1e-5),
                position: .learned, feedForward: .gelu, attentionInput: .fused, attentionInputBias: true,
                attentionOutputBias: true, feedForwardBias: true,
                isHeadTied: try configuration.boolean("tie_word_embeddings", default: true))
        },
        names: TensorNames(
            optionalPrefix: "transformer.", tokenEmbedding: "transformer.wte", positionEmbedding: "transformer.wpe",
            blockPrefix: "transformer.h.", attentionNorm: "ln_1", attentionInputs: ["attn.c_attn"],
            attentionOutput: "attn.c_proj", feedForwardNorm: "ln_2", gate: nil, up: "mlp.c_fc", down: "mlp.c_proj",
            finalNorm: "transformer.ln_f", head: "lm_head", storesTransposed: true))

    static let llama = ModelFamily(
        name: "llama",
        describe: { configuration in
            try configuration.require("hidden_act", oneOf: ["silu", "swish"])
            let width = try configuration.dimension("hidden_size")
            let heads = try configuration.dimension("num_attention_heads")
            let keyValueHeads = try configuration.dimension("num_key_value_heads", default: heads)
            guard heads % keyValueHeads == 0 else {
                throw CheckpointError.malformedConfiguration(
                    field: "num_key_value_heads", expected: "a divisor of num_attention_heads (\(heads))",
                    found: "\(keyValueHeads)")
            }
            let headWidth =
                try configuration.number("head_dim") == nil
                ? headWidth(width: width, heads: heads, field: "num_attention_heads")
                : configuration.dimension("head_dim")
            guard headWidth % 2 == 0 else {
                throw CheckpointError.malformedConfiguration(
                    field: "head_dim", expected: "an even number, as rotary positions turn pairs", found: "\(headWidth)"
                )
            }
            let attentionBias = try configuration.boolean("attention_bias", default: false)
            return DecoderDescription(
                architecture: "llama", vocabulary: try configuration.dimension("vocab_size"),
                contextLength: try configuration.dimension("max_position_embeddings", default: 2_048), width: width,
                layers: try configuration.dimension("num_hidden_layers"), heads: heads, keyValueHeads: keyValueHeads,
                headWidth: headWidth, feedForwardWidth: try configuration.dimension("intermediate_size"),
                normalization: .rootMeanSquare,
                normalizationEpsilon: try configuration.epsilon("rms_norm_eps", default: 1e-6),
                position: .rotary(base: try rotaryBase(configuration)), feedForward: .gatedSilu,
                attentionInput: .separate, attentionInputBias: attentionBias, attentionOutputBias: attentionBias,
                feedForwardBias: try configuration.boolean("mlp_bias", default: false),
                isHeadTied: try configuration.boolean("tie_word_embeddings", default: false))
        },
        names: TensorNames(
            optionalPrefix: "", tokenEmbedding: "model.embed_tokens", positionEmbedding: nil,
            blockPrefix: "model.layers.", attentionNorm: "input_layernorm",
            attentionInputs: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            attentionOutput: "self_attn.o_proj", feedForwardNorm: "post_attention_layernorm", gate: "mlp.gate_proj",
            up: "mlp.up_proj", down: "mlp.down_proj", finalNorm: "model.norm", head: "lm_head",
            storesTransposed: false))
}

private func headWidth(width: Int, heads: Int, field: String) throws -> Int {
    guard width % heads == 0 else {
        throw CheckpointError.malformedConfiguration(
            field: field, expected: "a divisor of the width (\(width))", found: "\(heads)")
    }
    return width / heads
}

/// The base of rotary positions, in the spelling of transformers 5 (`rope_parameters`) or of transformers 4.
private func rotaryBase(_ configuration: ModelConfiguration) throws -> Double {
    let parameters = try configuration.object("rope_parameters")
    for scaling in [parameters, try configuration.object("rope_scaling")].compactMap({ $0 }) {
        try scaling.require("rope_type", oneOf: ["default"])
        try scaling.require("type", oneOf: ["default"])
    }
    let base = try parameters?.number("rope_theta") ?? configuration.number("rope_theta") ?? 10_000
    guard base > 0 else {
        throw CheckpointError.malformedConfiguration(
            field: "rope_theta", expected: "a positive number", found: "\(base)")
    }
    return base
}
