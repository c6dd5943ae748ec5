// Families whose blocks have mixtures of experts: Mixtral, OLMoE, and those of Qwen.

extension ModelConfiguration {
    /// The names that two generations of configurations have for the number of experts.
    static let expertCounts = ["num_experts", "num_local_experts"]

    /// The most experts of a block, far above any model's.
    private static let mostExperts = 4_096

    /// The mixtures of experts.
    ///
    /// - Parameters:
    ///   - width: The field of an expert's inner width.
    ///   - renormalizes: Whether factors sum to 1; nil if `norm_topk_prob` says so.
    fileprivate func experts(
        width: String, count: Int, perToken: Int, renormalizes: Bool? = nil
    ) throws -> DecoderDescription.Experts {
        let counts = try Self.expertCounts.filter { try number($0) != nil }
        let count = try dimension(counts.first ?? Self.expertCounts[0], default: count)
        if let other = counts.dropFirst().first, try dimension(other) != count {
            throw CheckpointError.contradiction(
                field: counts[0], found: "\(count)", other: other, otherFound: shown(other))
        }
        guard count <= Self.mostExperts else {
            throw malformed(
                counts.first ?? Self.expertCounts[0], expected: "no more than \(Self.mostExperts) experts",
                found: "\(count)")
        }
        let perToken = try dimension("num_experts_per_tok", default: perToken)
        guard perToken <= count else {
            throw malformed(
                "num_experts_per_tok", expected: "no more than there are experts (\(count))", found: "\(perToken)")
        }
        return DecoderDescription.Experts(
            count: count, perToken: perToken, width: try dimension(width),
            renormalizes: try renormalizes ?? boolean("norm_topk_prob", default: false))
    }

    /// The blocks of the Qwen families that have a single MLP: those in `mlp_only_layers`, and those whose number, counted from 1, is no
    /// multiple of `decoder_sparse_step`.
    fileprivate func denseBlocks(of layers: Int) throws -> Set<Int> {
        try requireListable(layers)
        let step = try dimension("decoder_sparse_step", default: 1)
        var dense = Set((0..<layers).filter { ($0 + 1) % step != 0 })
        for entry in try list("mlp_only_layers") ?? [] {
            guard let block = entry as? Int, (0..<layers).contains(block) else {
                throw malformed("mlp_only_layers", expected: "numbers of layers, from 0 to \(layers - 1)")
            }
            dense.insert(block)
        }
        return dense
    }

    /// The common part of the Qwen families.
    fileprivate func qwenMixture(
        _ architecture: String, count: Int, perToken: Int
    ) throws -> DecoderDescription {
        var description = try llamaLike(architecture)
        var experts = try experts(width: "moe_intermediate_size", count: count, perToken: perToken)
        experts.denseBlocks = try denseBlocks(of: description.layers)
        description.experts = experts
        return description
    }
}

extension ModelFamily {
    static let mixtral = ModelFamily(
        name: "mixtral", causalClass: "MixtralForCausalLM",
        follows: llamaFields.union(["sliding_window", "layer_types"]),
        describe: { configuration in
            var description = try configuration.llamaLike("mixtral", epsilon: 1e-5)
            if let window = try configuration.optionalDimension("sliding_window", whenAbsent: nil) {
                description.attention.windows = try configuration.windows(
                    layers: description.layers, of: window
                ) { _ in true }
            }
            description.experts = try configuration.experts(
                width: "intermediate_size", count: 8, perToken: 2, renormalizes: true)
            return description
        },
        names: .llama.withExperts(
            ExpertNames(
                router: "block_sparse_moe.gate", expertPrefix: "block_sparse_moe.experts.", gate: "w1", up: "w3",
                down: "w2")))

    /// Queries and keys are normalised over all heads together. Its `clip_qkv` would clip after these norms, and is refused.
    static let olmoe = ModelFamily(
        name: "olmoe", causalClass: "OlmoeForCausalLM", follows: llamaFields,
        describe: { configuration in
            var description = try configuration.llamaLike("olmoe", epsilon: 1e-5)
            description.attention.queryKeyNorm = .wholeWidth
            description.experts = try configuration.experts(width: "intermediate_size", count: 64, perToken: 8)
            return description
        }, names: .llama.withQueryKeyNorm.withExperts())

    /// All tokens share one more expert, with a gate of its own.
    static let qwen2MoE = ModelFamily(
        name: "qwen2_moe", causalClass: "Qwen2MoeForCausalLM", follows: qwenMixtureFields,
        describe: { configuration in
            var description = try configuration.qwenMixture("qwen2_moe", count: 60, perToken: 4)
            description.attentionInputBias = try configuration.boolean("qkv_bias", default: true)
            description.attentionOutputBias = false
            description.experts?.sharedWidth = try configuration.dimension("shared_expert_intermediate_size")
            return description
        }, names: .llama.withExperts())

    static let qwen3MoE = ModelFamily(
        name: "qwen3_moe", causalClass: "Qwen3MoeForCausalLM", follows: qwenMixtureFields,
        describe: { configuration in
            var description = try configuration.qwenMixture("qwen3_moe", count: 128, perToken: 8)
            description.attention.queryKeyNorm = .perHead
            return description
        }, names: .llama.withQueryKeyNorm.withExperts())

    /// Windows are refused if `use_sliding_window` says that they are in effect; otherwise `sliding_window` means nothing.
    private static let qwenMixtureFields = llamaFields.union(["sliding_window"])
}
