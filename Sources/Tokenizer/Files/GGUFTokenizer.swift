/// The metadata of a GGUF file about its tokenizer, key by key; only their types are checked.
///
/// The keys are those under `tokenizer.ggml.` in the GGUF specification; keys that a file lacks are nil. Fill it from a file, then
/// make a tokenizer with ``Tokenizer/init(_:file:)``, which refuses what it cannot follow.
public struct GGUFTokenizerMetadata: Sendable, Equatable {
    /// `model`: "gpt2" for byte-level BPE, "llama" for SentencePiece with scores.
    public var model: String
    /// `pre`: how text is cut into words, by the name of a family, such as "llama-bpe" or "smollm". Only for "gpt2".
    public var preTokenizer: String?
    /// `tokens`, by id.
    public var tokens: [String]
    /// `scores`, one per token: pairs that make tokens of higher scores are merged first. Only for "llama".
    public var scores: [Float]?
    /// `token_type`, one per token: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
    public var tokenTypes: [Int32]?
    /// `merges`, in order of rank, each two tokens with a space between them. Only for "gpt2".
    public var merges: [String]?
    /// `bos_token_id`
    public var bosToken: Int?
    /// `eos_token_id`
    public var eosToken: Int?
    /// `unknown_token_id`
    public var unknownToken: Int?
    /// `add_bos_token`
    public var addsBos: Bool?
    /// `add_eos_token`
    public var addsEos: Bool?
    /// `add_space_prefix`: whether a space is put before text. Only for "llama", where it is the default.
    public var addsSpacePrefix: Bool?
    /// `remove_extra_whitespaces`
    public var removesExtraWhitespace: Bool?
    /// `tokenizer.chat_template`, named `default`, and the templates of `tokenizer.chat_template.NAME`.
    public var chatTemplates: [NamedChatTemplate] = []

    public struct NamedChatTemplate: Sendable, Equatable {
        public var name: String
        public var source: String

        public init(name: String, source: String) {
            self.name = name
            self.source = source
        }
    }

    public init(model: String, tokens: [String]) {
        self.model = model
        self.tokens = tokens
    }
}

/// The parts of a byte-level tokenizer that a GGUF file only names, by a name in `tokenizer.ggml.pre`.
struct GGUFTokenizerFamily: Sendable {
    let stages: [PreTokenizer.Stage]
    var normalizer = Normalizer.none
    /// Whether a word that is itself a token becomes that token, even if the merges give other tokens.
    var ignoresMerges = false
    /// Whether a sequence starts with BOS if the file does not say.
    var addsBos = false

    private static let gpt2 = GGUFTokenizerFamily(stages: PreTokenizer.gpt2.stages)
    private static let digits = GGUFTokenizerFamily(
        stages: [.digits(individually: true), .byteLevel(addsPrefixSpace: false, splits: true)])
    private static let llama3 = GGUFTokenizerFamily(
        stages: [.split(.llama3), .byteLevel(addsPrefixSpace: false, splits: false)])
    private static let qwen2 = GGUFTokenizerFamily(
        stages: [.split(.qwen2), .byteLevel(addsPrefixSpace: false, splits: false)])

    private var composing: GGUFTokenizerFamily {
        var family = self
        family.normalizer = .nfc
        return family
    }

    private var startingWithBos: GGUFTokenizerFamily {
        var family = self
        family.ignoresMerges = true
        family.addsBos = true
        return family
    }

    private static let families: [String: GGUFTokenizerFamily] = [
        "gpt-2": gpt2, "phi-2": gpt2, "mpt": gpt2.composing, "olmo": gpt2.composing,
        "smollm": digits, "starcoder": digits, "refact": digits, "command-r": digits.composing,
        "llama-bpe": llama3.startingWithBos, "llama3": llama3.startingWithBos, "llama-v3": llama3.startingWithBos,
        "falcon3": llama3.startingWithBos, "dbrx": llama3, "smaug-bpe": llama3,
        "qwen2": qwen2.composing, "deepseek-r1-qwen": qwen2.composing,
    ]

    static var names: [String] { families.keys.sorted() }

    static func named(_ name: String) -> GGUFTokenizerFamily? { families[name] }
}

/// Makes a ``TokenizerDescription`` from a GGUF file's metadata, and refuses by name what it cannot follow exactly.
struct GGUFTokenizerLoader {
    /// The values of `tokenizer.ggml.token_type`.
    private enum TokenType {
        static let normal: Int32 = 1
        static let unknown: Int32 = 2
        static let control: Int32 = 3
        static let userDefined: Int32 = 4
    }

    let metadata: GGUFTokenizerMetadata
    let file: String

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
        let limit = TokenizerDescription.identifierLimit
        guard count > 0, count < limit else {
            throw .invalidField(
                file: file, field: Self.key("tokens"), expected: "1 to \(limit - 1) tokens", found: "\(count)")
        }
        for (key, found) in [("scores", metadata.scores?.count), ("token_type", metadata.tokenTypes?.count)] {
            guard let found, found != count else { continue }
            throw .invalidField(
                file: file, field: Self.key(key), expected: "\(count) values, one per token", found: "\(found)")
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
        guard let family = GGUFTokenizerFamily.named(name) else {
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
        if let index = scores.firstIndex(where: \.isNaN) {
            throw .invalidField(
                file: file, field: "\(Self.key("scores"))[\(index)]", expected: "a number", found: "NaN")
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
            // Converters give this name to rows of the embedding that belong to no token.
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

/// The merges of a SentencePiece vocabulary, whose tokens have scores instead of a list of merges.
///
/// Any two neighbouring tokens that make a third are merged, those with the highest score first, and the leftmost among equals
/// (Kudo and Richardson 2018). Every way of cutting a token in two is therefore a merge, ranked by the token's score.
struct ScoredMerges {
    /// No merge makes a token longer than this: otherwise, reading a file with a few long tokens would take time quadratic in their
    /// length.
    static let longestToken = 256

    /// In order of rank.
    private(set) var merges: [Merge] = []
    /// One per merge; merges whose tokens have the same score share a rank.
    private(set) var ranks: [Int32] = []

    /// - Parameters:
    ///   - tokens: By id.
    ///   - scores: One per token, none of them NaN.
    ///   - isJoined: Whether merges make a token, as they do unless it is special.
    init(tokens: [String], scores: [Float], lookup: TokenLookup, isJoined: (Int) -> Bool) {
        let order = tokens.indices.filter(isJoined).sorted { (scores[$0], $1) > (scores[$1], $0) }
        var rank: Int32 = -1
        var score: Float?
        for identifier in order {
            if scores[identifier] != score {
                rank += 1
                score = scores[identifier]
            }
            let scalars = tokens[identifier].unicodeScalars
            // If two tokens are written alike, only one of them is found in text.
            guard tokens[identifier].utf8.count <= Self.longestToken,
                lookup[tokens[identifier]] == Int32(identifier)
            else { continue }
            for cut in scalars.indices.dropFirst() {
                guard let left = lookup[String(scalars[..<cut])], let right = lookup[String(scalars[cut...])],
                    isJoined(Int(left)), isJoined(Int(right))
                else { continue }
                merges.append(Merge(left: left, right: right, merged: Int32(identifier)))
                ranks.append(rank)
            }
        }
    }
}
