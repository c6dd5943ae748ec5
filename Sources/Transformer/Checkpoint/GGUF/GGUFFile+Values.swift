import Tokenizer

/// Typed reading of the metadata: a key that is absent is nil, one of another type is refused by its name.
extension GGUFFile {
    /// - Throws: ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func string(_ key: String) throws -> String? {
        try value(key, "a string") { if case .string(let text) = $0 { text } else { nil } }
    }

    /// - Throws: ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func boolean(_ key: String) throws -> Bool? {
        try value(key, "true or false") { if case .boolean(let boolean) = $0 { boolean } else { nil } }
    }

    /// - Throws: ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func integer(_ key: String) throws -> Int? { try value(key, "an integer", \.integer) }

    /// - Throws: ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func number(_ key: String) throws -> Double? { try value(key, "a finite number", \.finiteNumber) }

    /// - Throws: ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func strings(_ key: String) throws -> [String]? {
        try value(key, "an array of strings") { if case .array(let array) = $0 { array.strings } else { nil } }
    }

    /// - Throws: ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func integers(_ key: String) throws -> [Int]? {
        try value(key, "an array of integers") { if case .array(let array) = $0 { array.integers } else { nil } }
    }

    /// - Throws: ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func numbers(_ key: String) throws -> [Double]? {
        try value(key, "an array of numbers") { if case .array(let array) = $0 { array.numbers } else { nil } }
    }

    /// Refuses an array of another number of elements before they are read.
    private func requireCount(_ count: Int, of key: String) throws {
        guard case .array(let array)? = metadata[key], array.count != count else { return }
        throw GGUFError.wrongValue(
            key: key, file: fileName, expected: "\(count) values, one per token", found: "\(array.count)")
    }

    private func value<Value>(_ key: String, _ expected: String, _ read: (GGUFValue) -> Value?) throws -> Value? {
        guard let stored = metadata[key] else { return nil }
        guard let value = read(stored) else {
            throw GGUFError.wrongValue(key: key, file: fileName, expected: expected, found: stored.shown)
        }
        return value
    }
}

extension GGUFFile {
    /// What the file says of its tokenizer.
    ///
    /// - Throws: ``GGUFError/missingKey(key:file:)`` where it says nothing, and
    ///   ``GGUFError/wrongValue(key:file:expected:found:)``.
    public func tokenizerMetadata() throws -> GGUFTokenizerMetadata {
        func key(_ name: String) -> String { "tokenizer.ggml." + name }
        guard let model = try string(key("model")) else {
            throw GGUFError.missingKey(key: key("model"), file: fileName)
        }
        guard let tokens = try strings(key("tokens")) else {
            throw GGUFError.missingKey(key: key("tokens"), file: fileName)
        }
        for name in ["scores", "token_type"] { try requireCount(tokens.count, of: key(name)) }
        var tokenizer = GGUFTokenizerMetadata(model: model, tokens: tokens)
        tokenizer.preTokenizer = try string(key("pre"))
        tokenizer.scores = try numbers(key("scores")).map { $0.map(Float.init) }
        tokenizer.tokenTypes = try integers(key("token_type")).map { $0.map { Int32(clamping: $0) } }
        tokenizer.merges = try strings(key("merges"))
        tokenizer.bosToken = try integer(key("bos_token_id"))
        tokenizer.eosToken = try integer(key("eos_token_id"))
        tokenizer.unknownToken = try integer(key("unknown_token_id"))
        tokenizer.addsBos = try boolean(key("add_bos_token"))
        tokenizer.addsEos = try boolean(key("add_eos_token"))
        tokenizer.addsSpacePrefix = try boolean(key("add_space_prefix"))
        tokenizer.removesExtraWhitespace = try boolean(key("remove_extra_whitespaces"))
        return tokenizer
    }
}
