// Gemma stores gains around zero, scales embeddings, and has a gelu gate.

extension ModelConfiguration {
    fileprivate func gemmaLike(
        _ architecture: String, rotary positions: (fields: RotaryFields, layerType: String?) = (RotaryFields(), nil)
    ) throws -> DecoderDescription {
        // In the first generation, hidden_act does not name the activation that the model was trained with.
        let field =
            try string("hidden_activation") == nil && architecture == "gemma" ? "hidden_act" : "hidden_activation"
        let both = ["gelu", "gelu_pytorch_tanh"]
        var description = try llamaLike(
            architecture, headWidth: 256, isHeadTied: true,
            activation: (
                field, field == "hidden_act" ? both : ["gelu_pytorch_tanh"], architecture == "gemma" ? both : nil
            ), rotary: positions)
        description.gainOffset = 1
        description.feedForward = .gatedGeluTanh
        description.embeddingScale = Float(description.width).squareRoot()
        return description
    }

    /// The options of later generations.
    ///
    /// - Parameters:
    ///   - scoreCap: The cap of scores if the configuration lacks the field; a field of `null` means no cap.
    ///   - logitCap: The same for logits.
    fileprivate func secondGemma(
        _ architecture: String, scoreCap: Float? = nil, logitCap: Float? = nil,
        rotary positions: (fields: RotaryFields, layerType: String?) = (RotaryFields(), nil)
    ) throws -> DecoderDescription {
        var description = try gemmaLike(architecture, rotary: positions)
        description.attention.scale = 1 / (try positive("query_pre_attn_scalar") ?? 256).squareRoot()
        description.attention.scoreCap = try positive("attn_logit_softcapping", whenAbsent: scoreCap)
        description.logitCap = try positive("final_logit_softcapping", whenAbsent: logitCap)
        return description
    }
}

extension TensorNames {
    /// Llama's names, with norms before and after attention and MLP.
    fileprivate static let secondGemma: TensorNames = {
        var names = TensorNames.llama
        names.attentionOutputNorm = "post_attention_layernorm"
        names.feedForwardNorm = "pre_feedforward_layernorm"
        names.feedForwardOutputNorm = "post_feedforward_layernorm"
        return names
    }()
}

extension ModelFamily {
    static let gemma = ModelFamily(
        name: "gemma", causalClass: "GemmaForCausalLM", follows: llamaFields, describe: { try $0.gemmaLike("gemma") },
        names: .llama)

    private static let secondGemmaFields = llamaFields.union([
        "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping", "sliding_window", "layer_types",
    ])

    static let gemma2 = ModelFamily(
        name: "gemma2", causalClass: "Gemma2ForCausalLM", follows: secondGemmaFields,
        describe: { configuration in
            var description = try configuration.secondGemma("gemma2", scoreCap: 50, logitCap: 30)
            description.attention.windows = try configuration.windows(layers: description.layers) { $0 % 2 == 0 }
            return description
        }, names: .secondGemma)

    static let gemma3 = ModelFamily(
        name: "gemma3_text", causalClass: "Gemma3ForCausalLM",
        follows: secondGemmaFields.union(["sliding_window_pattern", "rope_local_base_freq"]),
        describe: { configuration in
            var description = try configuration.secondGemma(
                "gemma3_text", rotary: (.init(defaultBase: 1_000_000), "full_attention"))
            let period = try configuration.dimension("sliding_window_pattern", default: 6)
            description.attention.windows = try configuration.windows(layers: description.layers) {
                ($0 + 1) % period != 0
            }
            description.attention.queryKeyNorm = .perHead
            if case .rotary(let everywhere, _) = description.position {
                description.position = .rotary(
                    everywhere,
                    windowed: try configuration.rotary(
                        headWidth: description.headWidth, .init(bases: ["rope_local_base_freq"]),
                        layerType: "sliding_attention", scales: false))
            }
            return description
        }, names: .secondGemma.withQueryKeyNorm)
}
