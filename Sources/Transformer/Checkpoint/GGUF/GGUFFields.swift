import Foundation

/// Converts a GGUF file's metadata to the fields of a `config.json`.
struct GGUFFields {
    let file: GGUFFile
    let architecture: GGUFArchitecture
    let width: Int
    let heads: Int
    let keyValueHeads: Int
    let headWidth: Int

    /// Reads the dimensions on which other fields depend, and refuses options that no supported model has.
    ///
    /// - Throws: ``GGUFError``.
    init(file: GGUFFile, architecture: GGUFArchitecture) throws {
        self.file = file
        self.architecture = architecture
        func dimension(_ key: String, default fallback: Int? = nil, limit: Int = 16_777_216) throws -> Int {
            let key = architecture.name + "." + key
            guard let value = try file.integer(key) ?? fallback else {
                throw GGUFError.missingKey(key: key, file: file.fileName)
            }
            guard (1...limit).contains(value) else {
                throw GGUFError.wrongValue(
                    key: key, file: file.fileName, expected: "a whole number from 1 to \(limit)", found: "\(value)")
            }
            return value
        }
        // Memory for blocks is allocated before the first is read: a number alone must not exhaust memory.
        _ = try dimension("block_count", limit: 4_096)
        width = try dimension("embedding_length")
        heads = try dimension("attention.head_count")
        keyValueHeads = try dimension("attention.head_count_kv", default: heads)
        headWidth = try dimension("attention.key_length", default: max(1, width / heads))
        let valueWidth = try dimension("attention.value_length", default: headWidth)
        guard valueWidth == headWidth else {
            throw file.unsupported(
                "values of another width (\(valueWidth)) than its keys (\(headWidth)), which is not supported")
        }
        for name in ["expert_count", "expert_used_count"] {
            if let count = try file.integer(architecture.name + "." + name), count > 0 {
                throw file.unsupported("a mixture of \(count) experts, which is not supported")
            }
        }
    }

    /// The fields, in the spelling of transformers 5.
    ///
    /// - Throws: ``GGUFError``.
    func configuration() throws -> [String: Any] {
        guard let embedding = file.tensors["token_embd.weight"] else {
            throw GGUFError.missingTensor(tensor: "token_embd.weight", file: file.fileName)
        }
        var fields: [String: Any] = architecture.constants
        fields["model_type"] = architecture.modelType
        fields["vocab_size"] = embedding.shape.first
        fields["tie_word_embeddings"] = file.tensors["output.weight"] == nil
        fields["attention_bias"] = ["attn_q", "attn_qkv"].contains { file.tensors["blk.0.\($0).bias"] != nil }
        fields["mlp_bias"] = file.tensors["blk.0.ffn_up.bias"] != nil
        for (key, field) in architecture.fields.merging(Self.optional, uniquingKeysWith: { own, _ in own }) {
            let key = architecture.name + "." + key
            switch file.metadata[key] {
            case nil: break
            case .boolean(let boolean): fields[field] = boolean
            case let value?:
                guard let number = value.finiteNumber else {
                    throw GGUFError.wrongValue(key: key, file: file.fileName, expected: "a number", found: value.shown)
                }
                fields[field] = number
            }
        }
        try addRotary(to: &fields)
        addAttentionScale(to: &fields)
        return fields
    }

    /// Metadata that only some families follow. ``ComputationFields`` refuses their fields for the others.
    private static let optional = [
        "attention.scale": "attention_multiplier", "attention.clamp_kqv": "clip_qkv", "attention.causal": "is_causal",
        "attention.sliding_window": "sliding_window", "attn_logit_softcapping": "attn_logit_softcapping",
        "final_logit_softcapping": "final_logit_softcapping", "logit_scale": "logit_scale",
        "embedding_scale": "embedding_multiplier", "residual_scale": "residual_multiplier",
        "use_parallel_residual": "use_parallel_residual",
    ]

    private func addRotary(to fields: inout [String: Any]) throws {
        func key(_ name: String) -> String { "\(architecture.name).rope.\(name)" }
        guard architecture.modelType != "gpt2" else { return }
        let base = try file.number(key("freq_base")) ?? 10_000
        var parameters: [String: Any] = ["rope_theta": base, "rope_type": "default"]
        let rotated = try file.integer(key("dimension_count")) ?? headWidth
        if ["gpt_neox", "phi"].contains(architecture.modelType) {
            // The family multiplies by the width and rounds down: adding half a value keeps rounding errors from losing one.
            parameters["partial_rotary_factor"] = min(1, (Double(rotated) + 0.5) / Double(headWidth))
        } else if rotated != headWidth {
            throw file.unsupported(
                "rotary positions in \(rotated) of a head's \(headWidth) values, which is not supported for "
                    + architecture.name)
        }
        let scaling = try file.string(key("scaling.type")) ?? "none"
        let factor = try file.number(key("scaling.factor")) ?? file.number(key("scale_linear")) ?? 1
        switch scaling {
        case "none": break
        case "linear":
            if factor != 1 { parameters.merge(["rope_type": "linear", "factor": factor]) { $1 } }
        default:
            throw file.unsupported(
                "rotary positions scaled by \(SafetensorsError.quoted(scaling)); only none and linear are supported")
        }
        if let frequencies = try Llama3Scaling(file: file, base: base, headWidth: headWidth) {
            guard scaling == "none" || factor == 1 else {
                throw file.unsupported("rotary positions scaled in two ways, which is not supported")
            }
            parameters.merge(frequencies.parameters) { $1 }
        }
        for name in ["rope_factors_long.weight", "rope_factors_short.weight"] where file.tensors[name] != nil {
            throw file.unsupported("rotary positions scaled by \"longrope\"; only none and linear are supported")
        }
        if architecture.modelType == "gemma3_text" {
            let localBase = try file.number(key("freq_base_swa")) ?? 10_000
            fields["rope_parameters"] = [
                "full_attention": parameters, "sliding_attention": ["rope_theta": localBase, "rope_type": "default"],
            ]
        } else {
            fields["rope_parameters"] = parameters
        }
    }

    /// The scale of attention scores, which the largest models do not derive from the width of a head.
    private func addAttentionScale(to fields: inout [String: Any]) {
        guard architecture.name == "gemma2" || architecture.name == "gemma3" else { return }
        let layers = fields["num_hidden_layers"] as? Double
        let isLargest = layers == (architecture.name == "gemma2" ? 46 : 62)
        fields["query_pre_attn_scalar"] = isLargest ? Double(width / heads) : Double(headWidth)
    }
}

/// The scaling of Llama 3's rotary frequencies, which a GGUF file stores as a divisor per frequency.
///
/// Frequencies of wavelengths up to `originalContext / 4` stay, those of wavelengths from `originalContext` on are divided by a factor,
/// and the divisor changes continuously between them. The published models differ only in the factor, which is the last divisor.
private struct Llama3Scaling {
    static let tensor = "rope_freqs.weight"
    static let originalContext = 8_192.0
    static let lowFactor = 1.0
    static let highFactor = 4.0
    let factor: Double

    /// - Returns: `nil` if the file does not scale frequencies.
    /// - Throws: ``GGUFError/unsupportedFeature(file:feature:)`` if its divisors are not those of Llama 3.
    init?(file: GGUFFile, base: Double, headWidth: Int) throws {
        guard file.tensors[Self.tensor] != nil else { return nil }
        let divisors = try file.matrix(named: Self.tensor).elements.map(Double.init)
        guard let last = divisors.last, last >= 1 else { throw Self.unsupported(file) }
        if divisors.allSatisfy({ $0 == 1 }) { return nil }
        factor = last
        guard divisors.count == headWidth / 2 else { throw Self.unsupported(file) }
        for (index, divisor) in divisors.enumerated() {
            let expected = divisorAt(pow(base, 2 * Double(index) / Double(headWidth)))
            guard abs(divisor - expected) <= 1e-4 * expected else { throw Self.unsupported(file) }
        }
    }

    private static func unsupported(_ file: GGUFFile) -> GGUFError {
        file.unsupported("rotary frequencies scaled by \(tensor) in another way than Llama 3's")
    }

    /// The divisor of a frequency, given its reciprocal.
    private func divisorAt(_ period: Double) -> Double {
        let turns = Self.originalContext / (2 * .pi * period)
        if turns > Self.highFactor { return 1 }
        if turns < Self.lowFactor { return factor }
        let share = (turns - Self.lowFactor) / (Self.highFactor - Self.lowFactor)
        return 1 / ((1 - share) / factor + share)
    }

    var parameters: [String: Any] {
        [
            "rope_type": "llama3", "factor": factor, "low_freq_factor": Self.lowFactor,
            "high_freq_factor": Self.highFactor, "original_max_position_embeddings": Self.originalContext,
        ]
    }
}
