// GPT-2, GPT-Neo and GPT-NeoX.

extension ModelFamily {
    static let gpt2 = ModelFamily(
        name: "gpt2", causalClass: "GPT2LMHeadModel",
        describe: { configuration in
            try configuration.requireActivation("activation_function", oneOf: ["gelu_new", "gelu_pytorch_tanh"])
            let width = try configuration.dimension("n_embd")
            let heads = try configuration.dimension("n_head")
            return DecoderDescription(
                architecture: "gpt2", vocabulary: try configuration.dimension("vocab_size"),
                contextLength: try configuration.dimension("n_positions"), width: width,
                layers: try configuration.dimension("n_layer"), heads: heads, keyValueHeads: heads,
                headWidth: try configuration.headWidth(width: width, heads: heads, field: "n_head"),
                feedForwardWidth: try configuration.dimension("n_inner", default: 4 * width), normalization: .layer,
                normalizationEpsilon: try configuration.epsilon("layer_norm_epsilon", default: 1e-5),
                position: .learned, feedForward: .geluTanh, attentionInput: .fused, attentionInputBias: true,
                attentionOutputBias: true, feedForwardBias: true,
                isHeadTied: try configuration.boolean("tie_word_embeddings", default: true))
        },
        names: TensorNames(
            optionalPrefix: "transformer.", tokenEmbedding: "transformer.wte", positionEmbedding: "transformer.wpe",
            blockPrefix: "transformer.h.", attentionNorm: "ln_1", attentionInputs: ["attn.c_attn"],
            attentionOutput: "attn.c_proj", feedForwardNorm: "ln_2", up: "mlp.c_fc", down: "mlp.c_proj",
            finalNorm: "transformer.ln_f", storesTransposed: true, blockBuffers: ["attn.bias", "attn.masked_bias"]))

    /// Scores are not scaled, and some layers only see a window.
    static let gptNeo = ModelFamily(
        name: "gpt_neo", causalClass: "GPTNeoForCausalLM", follows: ["attention_types", "window_size"],
        describe: { configuration in
            let width = try configuration.dimension("hidden_size")
            let heads = try configuration.dimension("num_heads")
            let layers = try configuration.dimension("num_layers")
            var description = DecoderDescription(
                architecture: "gpt_neo", vocabulary: try configuration.dimension("vocab_size"),
                contextLength: try configuration.dimension("max_position_embeddings"), width: width, layers: layers,
                heads: heads, keyValueHeads: heads,
                headWidth: try configuration.headWidth(width: width, heads: heads, field: "num_heads"),
                feedForwardWidth: try configuration.dimension("intermediate_size", default: 4 * width),
                normalization: .layer,
                normalizationEpsilon: try configuration.epsilon("layer_norm_epsilon", default: 1e-5),
                position: .learned,
                feedForward: try configuration.plainFeedForward("activation_function", default: "gelu_new"),
                attentionInput: .separate, attentionInputBias: false, attentionOutputBias: true, feedForwardBias: true,
                isHeadTied: try configuration.boolean("tie_word_embeddings", default: true))
            description.attention.scale = 1
            description.attention.windows = try configuration.neoWindows(layers: layers)
            return description
        },
        names: TensorNames(
            optionalPrefix: "transformer.", tokenEmbedding: "transformer.wte", positionEmbedding: "transformer.wpe",
            blockPrefix: "transformer.h.", attentionNorm: "ln_1",
            attentionInputs: ["attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj"],
            attentionOutput: "attn.attention.out_proj", feedForwardNorm: "ln_2", up: "mlp.c_fc", down: "mlp.c_proj",
            finalNorm: "transformer.ln_f", blockBuffers: ["attn.attention.bias", "attn.attention.masked_bias"]))

    /// Attention and MLP are parallel if `use_parallel_residual` says so; each has its own norm.
    static let gptNeoX = ModelFamily(
        name: "gpt_neox", causalClass: "GPTNeoXForCausalLM",
        follows: ModelFamily.rotaryFields.union([
            "rotary_emb_base", "rotary_pct", "partial_rotary_factor", "use_parallel_residual",
        ]),
        describe: { configuration in
            let width = try configuration.dimension("hidden_size")
            let heads = try configuration.dimension("num_attention_heads")
            let headWidth = try configuration.headWidth(width: width, heads: heads, field: "num_attention_heads")
            let attentionBias = try configuration.boolean("attention_bias", default: true)
            return DecoderDescription(
                architecture: "gpt_neox", vocabulary: try configuration.dimension("vocab_size"),
                contextLength: try configuration.dimension("max_position_embeddings"), width: width,
                layers: try configuration.dimension("num_hidden_layers"), heads: heads, keyValueHeads: heads,
                headWidth: headWidth, feedForwardWidth: try configuration.dimension("intermediate_size"),
                normalization: .layer,
                normalizationEpsilon: try configuration.epsilon("layer_norm_eps", default: 1e-5),
                position: .rotary(
                    try configuration.rotary(
                        headWidth: headWidth,
                        .init(
                            bases: ["rotary_emb_base", "rope_theta"], shares: ["rotary_pct", "partial_rotary_factor"],
                            defaultShare: 0.25))),
                feedForward: try configuration.plainFeedForward("hidden_act", default: "gelu"),
                attentionInput: .fusedByHead, attentionInputBias: attentionBias, attentionOutputBias: attentionBias,
                feedForwardBias: true,
                isParallel: try configuration.boolean("use_parallel_residual", default: true),
                isHeadTied: try configuration.boolean("tie_word_embeddings", default: false))
        },
        names: TensorNames(
            tokenEmbedding: "gpt_neox.embed_in", blockPrefix: "gpt_neox.layers.", attentionNorm: "input_layernorm",
            attentionInputs: ["attention.query_key_value"], attentionOutput: "attention.dense",
            feedForwardNorm: "post_attention_layernorm", up: "mlp.dense_h_to_4h", down: "mlp.dense_4h_to_h",
            finalNorm: "gpt_neox.final_layer_norm", head: "embed_out",
            blockBuffers: ["attention.bias", "attention.masked_bias", "attention.rotary_emb.inv_freq"],
            buffers: ["gpt_neox.rotary_emb.inv_freq"]))
}

extension ModelConfiguration {
    /// The windows of GPT-Neo, which lists its layers as `[[kinds, times], …]`.
    fileprivate func neoWindows(layers: Int) throws -> [Int?] {
        try requireListable(layers)
        let malformed = malformed(
            "attention_types",
            expected: "lists of \"global\" and \"local\", each with its number of repetitions, "
                + "for \(layers) layers in total")
        let groups = try list("attention_types") ?? [[["global", "local"], layers / 2] as [Any]]
        var kinds: [String] = []
        for group in groups {
            guard let pair = group as? [Any], pair.count == 2, let names = pair[0] as? [String],
                names.allSatisfy({ $0 == "global" || $0 == "local" }), let times = pair[1] as? Int, times >= 0,
                times <= layers, kinds.count + names.count * times <= layers
            else { throw malformed }
            for _ in 0..<times { kinds += names }
        }
        guard kinds.count == layers else { throw malformed }
        guard kinds.contains("local") else { return [] }
        let window = try dimension("window_size", default: 256)
        return kinds.map { $0 == "local" ? window : nil }
    }
}

extension ModelFamily {
    /// Attention and MLP are parallel and share a norm. Rotary positions apply to a part of each head, and every layer has a bias.
    static let phi = ModelFamily(
        name: "phi", causalClass: "PhiForCausalLM", follows: ModelFamily.rotaryFields.union(["partial_rotary_factor"]),
        describe: { configuration in
            let width = try configuration.dimension("hidden_size")
            let heads = try configuration.dimension("num_attention_heads")
            let headWidth = try configuration.headWidth(width: width, heads: heads, field: "num_attention_heads")
            return DecoderDescription(
                architecture: "phi", vocabulary: try configuration.dimension("vocab_size"),
                contextLength: try configuration.dimension("max_position_embeddings", default: 2_048), width: width,
                layers: try configuration.dimension("num_hidden_layers"), heads: heads,
                keyValueHeads: try configuration.keyValueHeads(of: heads), headWidth: headWidth,
                feedForwardWidth: try configuration.dimension("intermediate_size"), normalization: .layer,
                normalizationEpsilon: try configuration.epsilon("layer_norm_eps", default: 1e-5),
                position: .rotary(
                    try configuration.rotary(
                        headWidth: headWidth, .init(shares: ["partial_rotary_factor"], defaultShare: 0.5))),
                feedForward: try configuration.plainFeedForward("hidden_act", default: "gelu_new"),
                attentionInput: .separate, attentionInputBias: true, attentionOutputBias: true, feedForwardBias: true,
                isParallel: true, isHeadTied: try configuration.boolean("tie_word_embeddings", default: false),
                headBias: true)
        },
        names: TensorNames(
            tokenEmbedding: "model.embed_tokens", blockPrefix: "model.layers.", attentionNorm: "input_layernorm",
            attentionInputs: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            attentionOutput: "self_attn.dense", up: "mlp.fc1", down: "mlp.fc2", finalNorm: "model.final_layernorm",
            blockBuffers: ["self_attn.rotary_emb.inv_freq"], buffers: ["model.rotary_emb.inv_freq"]))
}
