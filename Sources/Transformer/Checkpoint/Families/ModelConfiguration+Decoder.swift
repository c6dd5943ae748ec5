// The common parts of several families' configurations.

extension ModelConfiguration {
    /// The width of one head: the width of the residual stream divided by the heads.
    func headWidth(width: Int, heads: Int, field: String) throws -> Int {
        guard width % heads == 0 else {
            throw malformed(field, expected: "a divisor of the width (\(width))", found: "\(heads)")
        }
        return width / heads
    }

    func keyValueHeads(of heads: Int) throws -> Int {
        let keyValueHeads = try dimension("num_key_value_heads", default: heads)
        guard heads % keyValueHeads == 0 else {
            throw malformed(
                "num_key_value_heads", expected: "a divisor of num_attention_heads (\(heads))",
                found: "\(keyValueHeads)")
        }
        return keyValueHeads
    }

    /// A dimension, or the fallback if the field is absent; nil if it is null.
    func optionalDimension(_ name: String, whenAbsent fallback: Int?) throws -> Int? {
        guard contains(name) else { return fallback }
        return try number(name) == nil ? nil : dimension(name)
    }

    /// Refuses activations other than the supported ones, including those in fields that other families use.
    ///
    /// - Parameter elsewhere: The activations that those fields are allowed to have, if they differ.
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

    /// The attention window of each layer, from `layer_types` if the field exists.
    ///
    /// - Parameter isWindowed: Whether a layer has a window if the field does not exist.
    func windows(layers: Int, isWindowed: (Int) throws -> Bool) throws -> [Int?] {
        try windows(layers: layers, of: nil, isWindowed: isWindowed)
    }

    /// - Parameter window: The number of tokens that a windowed layer sees; the value of `sliding_window` if nil.
    func windows(layers: Int, of window: Int?, isWindowed: (Int) throws -> Bool) throws -> [Int?] {
        try requireListable(layers)
        let types = try strings("layer_types")
        if let types, types.count != layers {
            throw malformed(
                "layer_types", expected: "one entry for each of \(layers) layers", found: "\(types.count)")
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

    /// Refuses a huge number of layers before a list of them is allocated: a number alone must not exhaust memory.
    func requireListable(_ layers: Int) throws {
        guard layers > 4_096 else { return }
        throw malformed("the number of layers", expected: "no more than 4096", found: "\(layers)")
    }
}
