// Llama, and families that differ from it in a few options.

extension ModelConfiguration {
    /// The common part of Llama and its descendants: root-mean-square norms, rotary positions, a gated MLP.
    func llamaLike(
        _ architecture: String, headWidth defaultHeadWidth: Int? = nil, epsilon: Double = 1e-6,
        isHeadTied: Bool = false,
        activation: (field: String, supported: [String], elsewhere: [String]?) = (
            "hidden_act", ["silu", "swish"], nil
        ),
        rotary positions: (fields: RotaryFields, layerType: String?) = (RotaryFields(), nil)
    ) throws -> DecoderDescription {
        try requireActivation(activation.field, oneOf: activation.supported, elsewhere: activation.elsewhere)
        let width = try dimension("hidden_size")
        let heads = try dimension("num_attention_heads")
        let keyValueHeads = try keyValueHeads(of: heads)
        let headWidth =
            try number("head_dim") == nil
            ? defaultHeadWidth ?? headWidth(width: width, heads: heads, field: "num_attention_heads")
            : dimension("head_dim")
        let attentionBias = try boolean("attention_bias", default: false)
        return DecoderDescription(
            architecture: architecture, vocabulary: try dimension("vocab_size"),
            contextLength: try dimension("max_position_embeddings", default: 2_048), width: width,
            layers: try dimension("num_hidden_layers"), heads: heads, keyValueHeads: keyValueHeads,
            headWidth: headWidth, feedForwardWidth: try dimension("intermediate_size"),
            normalization: .rootMeanSquare, normalizationEpsilon: try self.epsilon("rms_norm_eps", default: epsilon),
            position: .rotary(try rotary(headWidth: headWidth, positions.fields, layerType: positions.layerType)),
            feedForward: .gatedSilu, attentionInput: .separate,
            attentionInputBias: attentionBias, attentionOutputBias: attentionBias,
            feedForwardBias: try boolean("mlp_bias", default: false),
            isHeadTied: try boolean("tie_word_embeddings", default: isHeadTied))
    }

    /// The windows of the Qwen families, which are in effect only if `use_sliding_window` says so.
    fileprivate func qwenWindows(layers: Int) throws -> [Int?] {
        guard try boolean("use_sliding_window", default: false) else {
            if try strings("layer_types")?.contains("sliding_attention") == true {
                throw CheckpointError.contradiction(
                    field: "layer_types", found: "\"sliding_attention\" for some layers", other: "use_sliding_window",
                    otherFound: "false")
            }
            return []
        }
        guard let window = try optionalDimension("sliding_window", whenAbsent: 4_096) else { return [] }
        let first = try number("max_window_layers") ?? 28
        return try windows(layers: layers, of: window) { Double($0) >= first }
    }
}

extension ModelFamily {
    static let llama = ModelFamily(
        name: "llama", causalClass: "LlamaForCausalLM", follows: llamaFields, describe: { try $0.llamaLike("llama") },
        names: .llama)

    static let mistral = ModelFamily(
        name: "mistral", causalClass: "MistralForCausalLM",
        follows: llamaFields.union(["sliding_window", "layer_types"]),
        describe: { configuration in
            var description = try configuration.llamaLike("mistral")
            if let window = try configuration.optionalDimension("sliding_window", whenAbsent: 4_096) {
                description.attention.windows = try configuration.windows(
                    layers: description.layers, of: window
                ) { _ in true }
            }
            return description
        }, names: .llama)

    static let qwen2 = ModelFamily(
        name: "qwen2", causalClass: "Qwen2ForCausalLM", follows: qwenFields,
        describe: { configuration in
            var description = try configuration.llamaLike("qwen2")
            description.attentionInputBias = true
            description.attentionOutputBias = false
            description.attention.windows = try configuration.qwenWindows(layers: description.layers)
            return description
        }, names: .llama)

    static let qwen3 = ModelFamily(
        name: "qwen3", causalClass: "Qwen3ForCausalLM", follows: qwenFields,
        describe: { configuration in
            var description = try configuration.llamaLike("qwen3", headWidth: 128)
            description.attention.queryKeyNorm = .perHead
            description.attention.windows = try configuration.qwenWindows(layers: description.layers)
            return description
        }, names: .llama.withQueryKeyNorm)

    private static let qwenFields = llamaFields.union(["use_sliding_window", "sliding_window", "layer_types"])
}

extension ModelFamily {
    static let olmo = ModelFamily(
        name: "olmo", causalClass: "OlmoForCausalLM", follows: llamaFields.union(["clip_qkv"]),
        describe: { configuration in
            var description = try configuration.llamaLike("olmo")
            description.normalization = .layerWithoutParameters
            // A constant in the model's code, which no configuration has.
            description.normalizationEpsilon = 1e-5
            description.attention.projectionLimit = try configuration.positive("clip_qkv")
            return description
        }, names: .llama)

    /// OLMo 2 has norms after attention and MLP, and none before.
    static let olmo2 = ModelFamily(
        name: "olmo2", causalClass: "Olmo2ForCausalLM", follows: llamaFields,
        describe: { configuration in
            var description = try configuration.llamaLike("olmo2", epsilon: 1e-5)
            description.attention.queryKeyNorm = .wholeWidth
            return description
        },
        names: {
            var names = TensorNames.llama.withQueryKeyNorm
            names.attentionNorm = nil
            names.attentionOutputNorm = "post_attention_layernorm"
            names.feedForwardNorm = nil
            names.feedForwardOutputNorm = "post_feedforward_layernorm"
            return names
        }())
}
