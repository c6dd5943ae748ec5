// What several families' configurations have in common.

extension ModelConfiguration {
    /// The width of one head: the width of the residual stream divided by the heads.
    func headWidth(width: Int, heads: Int, field: String) throws -> Int {
        guard width % heads == 0 else {
            throw CheckpointError.malformedConfiguration(
                field: field, expected: "a divisor of the width (\(width))", found: "\(heads)")
        }
        return width / heads
    }

    func keyValueHeads(of heads: Int) throws -> Int {
        let keyValueHeads = try dimension("num_key_value_heads", default: heads)
        guard heads % keyValueHeads == 0 else {
            throw CheckpointError.malformedConfiguration(
                field: "num_key_value_heads", expected: "a divisor of num_attention_heads (\(heads))",
                found: "\(keyValueHeads)")
        }
        return keyValueHeads
    }

    /// A positive number, or nil where the field is absent or null.
    func positive(_ name: String) throws -> Float? {
        guard let value = try number(name) else { return nil }
        guard Float(value) > 0, Float(value).isFinite else {
            throw CheckpointError.malformedConfiguration(
                field: qualified(name), expected: "a positive number", found: shown(name))
        }
        return Float(value)
    }

    /// An MLP without a gate.
    func plainFeedForward(_ field: String, default fallback: String) throws -> DecoderDescription.FeedForward {
        let tanhForms = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"]
        try require(field, oneOf: tanhForms + ["gelu"])
        return tanhForms.contains(try string(field) ?? fallback) ? .geluTanh : .geluErf
    }
}

// Positions.
extension ModelConfiguration {
    /// Where a family keeps what its rotary positions are made of.
    struct RotaryFields {
        /// In front of `rope_theta`, which later versions write for all families.
        var base = "rope_theta"
        var defaultBase = 10_000.0
        /// The share of a head that turns.
        var share: String?
        var defaultShare = 1.0
    }

    /// Rotary positions, in the spelling of transformers 5 (`rope_parameters`) or of transformers 4.
    ///
    /// - Parameter layerType: Where the two kinds of layers have parameters of their own.
    func rotary(
        headWidth: Int, _ fields: RotaryFields = RotaryFields(), layerType: String? = nil, scales: Bool = true
    ) throws -> RotaryEmbedding {
        var parameters = try object("rope_parameters")
        if let layerType, let own = try parameters?.object(layerType) { parameters = own }
        let base =
            try parameters?.number("rope_theta") ?? number(fields.base) ?? number("rope_theta") ?? fields.defaultBase
        guard base > 0 else {
            throw CheckpointError.malformedConfiguration(
                field: "rope_theta", expected: "a positive number", found: "\(base)")
        }
        var scaling = RotaryEmbedding.Scaling.none
        for source in [parameters, scales ? try object("rope_scaling") : nil].compactMap({ $0 })
        where scaling == .none {
            scaling = try source.rotaryScaling(contextLength: try dimension("max_position_embeddings", default: 2_048))
        }
        return RotaryEmbedding(
            base: base, width: try rotaryWidth(headWidth: headWidth, fields, parameters), scaling: scaling)
    }

    private func rotaryWidth(headWidth: Int, _ fields: RotaryFields, _ parameters: ModelConfiguration?) throws -> Int {
        let share =
            try parameters?.number("partial_rotary_factor") ?? number("partial_rotary_factor")
            ?? fields.share.flatMap { try number($0) } ?? fields.defaultShare
        guard share > 0, share <= 1 else {
            throw CheckpointError.malformedConfiguration(
                field: fields.share ?? "partial_rotary_factor", expected: "a number above 0 and up to 1",
                found: "\(share)")
        }
        let width = Int(Double(headWidth) * share)
        guard width % 2 == 0, width > 0 else {
            throw CheckpointError.malformedConfiguration(
                field: share == 1 ? "head_dim" : fields.share ?? "partial_rotary_factor",
                expected: share == 1
                    ? "an even number, as rotary positions turn pairs"
                    : "a share of the head width (\(headWidth)) that is an even number",
                found: share == 1 ? "\(width)" : "\(share)")
        }
        return width
    }

    /// Reads `rope_parameters` or `rope_scaling`.
    private func rotaryScaling(contextLength: Int) throws -> RotaryEmbedding.Scaling {
        for field in ["rope_type", "type"] { try require(field, oneOf: ["default", "linear", "llama3"]) }
        func required(_ name: String) throws -> Double {
            guard let value = try positive(name) else {
                throw CheckpointError.malformedConfiguration(
                    field: qualified(name), expected: "a positive number", found: "nothing")
            }
            return Double(value)
        }
        switch try string("rope_type") ?? string("type") {
        case "linear": return .linear(factor: try required("factor"))
        case "llama3":
            let low = try required("low_freq_factor")
            let high = try required("high_freq_factor")
            guard high > low else {
                throw CheckpointError.malformedConfiguration(
                    field: qualified("high_freq_factor"), expected: "more than low_freq_factor (\(low))",
                    found: "\(high)")
            }
            return .llama3(
                factor: try required("factor"), lowFrequencyFactor: low, highFrequencyFactor: high,
                originalContext: try dimension("original_max_position_embeddings", default: contextLength))
        default: return .none
        }
    }

    /// The attention window of each layer, from `layer_types` where that is written.
    ///
    /// - Parameter isWindowed: Which layers are where it is not.
    func windows(layers: Int, isWindowed: (Int) throws -> Bool) throws -> [Int?] {
        try requireListable(layers)
        let types = try strings("layer_types")
        if let types, types.count != layers {
            throw CheckpointError.malformedConfiguration(
                field: "layer_types", expected: "one entry for each of \(layers) layers", found: "\(types.count)")
        }
        let supported = ["full_attention", "sliding_attention"]
        if let other = types?.first(where: { !supported.contains($0) }) {
            throw CheckpointError.unsupportedOption(
                field: "layer_types", found: SafetensorsError.quoted(other),
                supported: supported.joined(separator: " or "))
        }
        let windowed = try types?.map { $0 == "sliding_attention" } ?? (0..<layers).map(isWindowed)
        guard windowed.contains(true) else { return [] }
        let window = try dimension("sliding_window")
        return windowed.map { $0 ? window : nil }
    }

    /// Refuses more layers than a list of them is made for: a number alone must not ask for memory.
    func requireListable(_ layers: Int) throws {
        guard layers > 4_096 else { return }
        throw CheckpointError.malformedConfiguration(
            field: "the number of layers", expected: "no more than 4096", found: "\(layers)")
    }
}
