extension ModelFamily {
    static let olmo = ModelFamily(
        name: "olmo", causalClass: "OlmoForCausalLM", follows: llamaFields.union(["clip_qkv"]),
        describe: { configuration in
            var description = try configuration.llamaLike("olmo")
            description.normalization = .layerWithoutParameters
            // Fixed in the model, and in no configuration.
            description.normalizationEpsilon = 1e-5
            description.attention.projectionLimit = try configuration.positive("clip_qkv")
            return description
        }, names: .llama)

    /// Norms stand behind attention and MLP, none in front.
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
