// Gemma: gains stored around zero, embeddings scaled, a gelu gate.

extension ModelConfiguration {
    fileprivate func gemmaLike(_ architecture: String) throws -> DecoderDescription {
        try require("use_bidirectional_attention", toBe: false)
        // The first generation was published with another activation in hidden_act than it was trained with.
        let field =
            try string("hidden_activation") == nil && architecture == "gemma" ? "hidden_act" : "hidden_activation"
        let supported = field == "hidden_act" ? ["gelu", "gelu_pytorch_tanh"] : ["gelu_pytorch_tanh"]
        var description = try llamaLike(
            architecture, headWidth: 256, isHeadTied: true, activation: (field, supported))
        description.gainOffset = 1
        description.feedForward = .gatedGeluTanh
        description.embeddingScale = Float(description.width).squareRoot()
        return description
    }

    /// What later generations add to the first.
    fileprivate func secondGemma(_ architecture: String) throws -> DecoderDescription {
        var description = try gemmaLike(architecture)
        description.attention.scale = 1 / (try positive("query_pre_attn_scalar") ?? 256).squareRoot()
        description.attention.scoreCap = try positive("attn_logit_softcapping")
        description.logitCap = try positive("final_logit_softcapping")
        return description
    }
}

extension TensorNames {
    /// Norms on both sides of attention and MLP.
    fileprivate static let secondGemma: TensorNames = {
        var names = TensorNames.llama
        names.attentionOutputNorm = "post_attention_layernorm"
        names.feedForwardNorm = "pre_feedforward_layernorm"
        names.feedForwardOutputNorm = "post_feedforward_layernorm"
        return names
    }()
}

extension ModelFamily {
    static let gemma = ModelFamily(name: "gemma", describe: { try $0.gemmaLike("gemma") }, names: .llama)

    static let gemma2 = ModelFamily(
        name: "gemma2",
        describe: { configuration in
            var description = try configuration.secondGemma("gemma2")
            description.attention.windows = try configuration.windows(layers: description.layers) { $0 % 2 == 0 }
            return description
        }, names: .secondGemma)

    static let gemma3 = ModelFamily(
        name: "gemma3_text",
        describe: { configuration in
            var description = try configuration.secondGemma("gemma3_text")
            let period = try configuration.dimension("sliding_window_pattern", default: 6)
            description.attention.windows = try configuration.windows(layers: description.layers) {
                ($0 + 1) % period != 0
            }
            description.attention.queryKeyNorm = .perHead
            let width = description.headWidth
            description.position = .rotary(
                try configuration.rotary(
                    headWidth: width, .init(defaultBase: 1_000_000), layerType: "full_attention"),
                windowed: try configuration.rotary(
                    headWidth: width, .init(base: "rope_local_base_freq"), layerType: "sliding_attention", scales: false
                ))
            return description
        }, names: .secondGemma.withQueryKeyNorm)
}
