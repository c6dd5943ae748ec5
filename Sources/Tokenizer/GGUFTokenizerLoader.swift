/// Makes a ``TokenizerDescription`` of a GGUF file's metadata, and refuses by name what cannot be followed exactly.
struct GGUFTokenizerLoader {
    /// The values of `tokenizer.ggml.token_type`.
    private enum TokenType {
        static let normal: Int32 = 1
        static let unknown: Int32 = 2
        static let control: Int32 = 3
        static let userDefined: Int32 = 4
    }

    private let file: String
    private let metadata: GGUFTokenizerMetadata

    init(_ metadata: GGUFTokenizerMetadata, file: String) {
        self.metadata = metadata
        self.file = file
    }

    func description() throws(TokenizerError) -> TokenizerDescription {
        try checkCounts()
        var lookup = TokenLookup(minimumCapacity: metadata.tokens.count)
        for (identifier, token) in metadata.tokens.enumerated() {
            lookup.insert(token, identifier: Int32(identifier))
        }
        var description: TokenizerDescription
        switch metadata.model {
        case "gpt2": description = try byteLevel(lookup)
        case "llama": description = try sentencePiece(lookup)
        default:
            throw unsupported(
                "model", found: metadata.model,
                supported: ["gpt2 (byte-level BPE)", "llama (SentencePiece BPE with scores)"])
        }
        try lookup.checkBytes(description.spelling, file: file)
        return description
    }

    private func checkCounts() throws(TokenizerError) {
        let count = metadata.tokens.count
        guard count > 0, count < Tokenizer.identifierLimit else {
            throw .invalidField(
                file: file, field: Self.key("tokens"), expected: "1 to \(Tokenizer.identifierLimit - 1) tokens",
                found: "\(count)")
        }
        for (key, found) in [("scores", metadata.scores?.count), ("token_type", metadata.tokenTypes?.count)] {
            guard let found, found != count else { continue }
            throw .invalidField(
                file: file, field: Self.key(key), expected: "\(count) values, one a token", found: "\(found)")
        }
        let identifiers = [
            ("bos_token_id", metadata.bosToken), ("eos_token_id", metadata.eosToken),
            ("unknown_token_id", metadata.unknownToken),
        ]
        for (key, identifier) in identifiers {
            guard let identifier, !metadata.tokens.indices.contains(identifier) else { continue }
            throw .invalidField(
                file: file, field: Self.key(key), expected: "an id from 0 to \(count - 1)", found: "\(identifier)")
        }
    }

    // MARK: Byte level

    private func byteLevel(_ lookup: TokenLookup) throws(TokenizerError) -> TokenizerDescription {
        let family = try family()
        if metadata.addsSpacePrefix == true {
            throw unsupported("add_space_prefix", found: "true for the model gpt2", supported: ["false"])
        }
        guard let lines = metadata.merges else { throw .missingField(file: file, field: Self.key("merges")) }
        let reader = MergeReader(file: file, spelling: .byteLevel, lookup: lookup)
        var merges: [Merge] = []
        merges.reserveCapacity(lines.count)
        for (index, line) in lines.enumerated() {
            merges.append(try reader.merge(line: line, field: "\(Self.key("merges"))[\(index)]"))
        }
        return try withSpecialTokens(
            TokenizerDescription(
                vocabulary: metadata.tokens, merges: merges, ignoresMerges: family.ignoresMerges,
                addedTokens: addedTokens, normalizer: family.normalizer,
                preTokenizer: PreTokenizer(stages: family.stages)),
            addsBos: family.addsBos)
    }

    private func family() throws(TokenizerError) -> GGUFTokenizerFamily {
        // Without a name, or with the name "default", the file does not say how its text is cut into words.
        guard let name = metadata.preTokenizer else { throw .missingField(file: file, field: Self.key("pre")) }
        guard let family = GGUFTokenizerFamily(name) else {
            throw unsupported("pre", found: "\"\(name)\"", supported: GGUFTokenizerFamily.names)
        }
        return family
    }

    // MARK: SentencePiece

    private func sentencePiece(_ lookup: TokenLookup) throws(TokenizerError) -> TokenizerDescription {
        if metadata.removesExtraWhitespace == true {
            throw unsupported("remove_extra_whitespaces", found: "true", supported: ["false"])
        }
        guard let scores = metadata.scores else { throw .missingField(file: file, field: Self.key("scores")) }
        if let place = scores.firstIndex(where: \.isNaN) {
            throw .invalidField(
                file: file, field: "\(Self.key("scores"))[\(place)]", expected: "a number", found: "NaN")
        }
        let merges = ScoredMerges(tokens: metadata.tokens, scores: scores, lookup: lookup) { identifier in
            type(of: identifier) == TokenType.normal
        }
        let space = "\u{2581}"
        let prefix: [Normalizer.Step] = metadata.addsSpacePrefix ?? true ? [.prepend(space)] : []
        return try withSpecialTokens(
            TokenizerDescription(
                vocabulary: metadata.tokens, spelling: .characters(space: "\u{2581}"), merges: merges.merges,
                sharedRanks: merges.ranks, addedTokens: addedTokens,
                normalizer: Normalizer(steps: prefix + [.replace(" ", by: space)]),
                preTokenizer: PreTokenizer(stages: [])),
            addsBos: true)
    }

    // MARK: Special tokens

    private var addedTokens: [AddedToken] {
        metadata.tokens.enumerated().compactMap { identifier, content in
            let type = type(of: identifier)
            let isFound = [TokenType.unknown, TokenType.control, TokenType.userDefined].contains(type)
            // Rows of the embedding that belong to no token are named so by the programs that write these files.
            guard isFound, !content.isEmpty, content != "[PAD\(identifier)]" else { return nil }
            return AddedToken(
                identifier: Int32(identifier), content: content, isSpecial: type != TokenType.userDefined)
        }
    }

    private func type(of identifier: Int) -> Int32 { metadata.tokenTypes?[identifier] ?? TokenType.normal }

    private func withSpecialTokens(
        _ description: TokenizerDescription, addsBos: Bool
    ) throws(TokenizerError) -> TokenizerDescription {
        var description = description
        description.bosToken = metadata.bosToken.map(Int32.init)
        description.eosToken = metadata.eosToken.map(Int32.init)
        if metadata.addsBos ?? addsBos {
            guard let bos = description.bosToken else {
                throw .missingField(file: file, field: Self.key("bos_token_id"))
            }
            description.template.prefix = [bos]
        }
        if metadata.addsEos == true {
            guard let eos = description.eosToken else {
                throw .missingField(file: file, field: Self.key("eos_token_id"))
            }
            description.template.suffix = [eos]
        }
        return description
    }

    private static func key(_ name: String) -> String { "tokenizer.ggml.\(name)" }

    private func unsupported(_ key: String, found: String, supported: [String]) -> TokenizerError {
        .unsupported(file: file, field: Self.key(key), found: found, supported: supported)
    }
}
