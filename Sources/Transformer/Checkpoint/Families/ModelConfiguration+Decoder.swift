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

    /// The same, with what it is where the field is absent; `null` is none.
    func positive(_ name: String, whenAbsent fallback: Float?) throws -> Float? {
        contains(name) ? try positive(name) : fallback
    }

    /// A dimension, or nil where the field is null.
    func optionalDimension(_ name: String, whenAbsent fallback: Int?) throws -> Int? {
        guard contains(name) else { return fallback }
        return try number(name) == nil ? nil : dimension(name)
    }

    /// Refuses another activation than the supported ones, also under the names that other families have for it.
    ///
    /// - Parameter elsewhere: What these may say, where that is something else.
    func requireActivation(_ field: String, oneOf supported: [String], elsewhere: [String]? = nil) throws {
        try require(field, oneOf: supported)
        for other in ["hidden_act", "hidden_activation", "activation_function"] where other != field {
            try require(other, oneOf: elsewhere ?? supported)
        }
    }

    /// An MLP without a gate.
    func plainFeedForward(_ field: String, default fallback: String) throws -> DecoderDescription.FeedForwardKind {
        let tanhForms = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"]
        let isTanh = tanhForms.contains(try string(field) ?? fallback)
        try requireActivation(field, oneOf: tanhForms + ["gelu"], elsewhere: isTanh ? tanhForms : ["gelu"])
        return isTanh ? .geluTanh : .geluErf
    }

    /// The attention window of each layer, from `layer_types` where that is written.
    ///
    /// - Parameter isWindowed: Which layers are where it is not.
    func windows(layers: Int, isWindowed: (Int) throws -> Bool) throws -> [Int?] {
        try windows(layers: layers, of: nil, isWindowed: isWindowed)
    }

    /// - Parameter window: How many tokens a windowed layer sees; what `sliding_window` says where nil.
    func windows(layers: Int, of window: Int?, isWindowed: (Int) throws -> Bool) throws -> [Int?] {
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
        let window = try window ?? dimension("sliding_window")
        return windowed.map { $0 ? window : nil }
    }

    /// Refuses more layers than a list of them is made for: a number alone must not ask for memory.
    func requireListable(_ layers: Int) throws {
        guard layers > 4_096 else { return }
        throw CheckpointError.malformedConfiguration(
            field: "the number of layers", expected: "no more than 4096", found: "\(layers)")
    }
}
