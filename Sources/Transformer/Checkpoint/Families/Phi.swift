extension ModelFamily {
    /// Attention and MLP side by side behind one norm; rotary positions for a part of each head; a bias everywhere.
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
