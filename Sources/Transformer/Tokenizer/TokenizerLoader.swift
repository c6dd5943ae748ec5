import Foundation

/// Makes a ``TokenizerDescription`` of a `tokenizer.json`, and refuses by name what cannot be followed exactly.
struct TokenizerLoader {
    /// Ids must be below this: far beyond any vocabulary, and small enough for a table by id.
    static let identifierLimit = 1 << 22

    private let file: String
    private let fields: TokenizerFile
    private let configuration: TokenizerConfigurationFile?

    /// - Parameter url: A checkpoint folder, or a `tokenizer.json`. A `tokenizer_config.json` beside it is read too.
    static func description(contentsOf url: URL) throws(TokenizerError) -> TokenizerDescription {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
        let tokenizer = exists && isFolder.boolValue ? url.appendingPathComponent("tokenizer.json") : url
        let fields = try TokenizerFileReader.read(TokenizerFile.self, from: tokenizer)
        let beside = tokenizer.deletingLastPathComponent().appendingPathComponent("tokenizer_config.json")
        var configuration: TokenizerConfigurationFile?
        if FileManager.default.fileExists(atPath: beside.path) {
            configuration = try TokenizerFileReader.read(TokenizerConfigurationFile.self, from: beside)
        }
        return try TokenizerLoader(file: tokenizer.lastPathComponent, fields: fields, configuration: configuration)
            .description()
    }

    private func description() throws(TokenizerError) -> TokenizerDescription {
        if let version = fields.version, version != "1.0" {
            throw unsupported("version", found: "\"\(version)\"", supported: ["\"1.0\""])
        }
        try checkModelKind()
        let components = TokenizerComponents(file: file)
        try components.checkDecoder(fields.decoder)
        let normalizer = try components.normalizer(fields.normalizer)
        let preTokenizer = try components.preTokenizer(fields.preTokenizer)

        let identifiers = fields.model.vocabulary ?? [:]
        let vocabulary = try tokensByIdentifier(identifiers)
        var table = ByteStringTable(minimumCapacity: identifiers.count)
        var identifierOfNumber: [Int32] = []
        for (identifier, token) in vocabulary.enumerated() {
            guard let token else { continue }
            // Equal tokens cannot be: they were the keys of one object.
            if table.insert(Array(token.utf8)) == identifierOfNumber.count {
                identifierOfNumber.append(Int32(identifier))
            }
        }
        let lookup = { (token: String) in table.number(of: Array(token.utf8)).map { identifierOfNumber[$0] } }
        try checkByteSymbols(lookup)
        let addedTokens = try addedTokens(vocabularyCount: identifiers.count, vocabulary: vocabulary, lookup: lookup)

        var description = TokenizerDescription(
            vocabulary: vocabulary, merges: try merges(lookup: lookup),
            ignoresMerges: fields.model.ignoreMerges ?? false, addedTokens: addedTokens, normalizer: normalizer,
            preTokenizer: preTokenizer)
        let isAssigned = { (identifier: Int) in
            vocabulary.indices.contains(identifier) && vocabulary[identifier] != nil
                || addedTokens.contains { Int($0.identifier) == identifier }
        }
        description.template = try components.template(fields.postProcessor, isAssigned: isAssigned)
        let anyToken = { (content: String) in
            addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.identifier ?? lookup(content)
        }
        description.eosToken = configuration?.eosToken.flatMap { anyToken($0.content) }
        description.bosToken = configuration?.bosToken.flatMap { anyToken($0.content) }
        if configuration?.addBosToken == true, description.template.prefix.isEmpty {
            description.template.prefix = [try bosToken(description.bosToken)]
        }
        if description.bosToken == nil, description.template.prefix.count == 1 {
            description.bosToken = description.template.prefix[0]
        }
        return description
    }

    private func bosToken(_ identifier: Int32?) throws(TokenizerError) -> Int32 {
        if let identifier { return identifier }
        guard let token = configuration?.bosToken else {
            throw .missingField(file: "tokenizer_config.json", field: "bos_token")
        }
        throw .unknownToken(file: "tokenizer_config.json", field: "bos_token", token: token.content)
    }

    // MARK: The model

    private func checkModelKind() throws(TokenizerError) {
        let model = fields.model
        let supported = ["BPE at byte level, without dropout, prefix, suffix or byte fallback"]
        if let type = model.type, type != "BPE" {
            throw unsupported("model.type", found: type, supported: supported)
        }
        if let dropout = model.dropout, dropout != 0 {
            throw unsupported("model.dropout", found: "\(dropout)", supported: supported)
        }
        if let prefix = model.continuingSubwordPrefix, !prefix.isEmpty {
            throw unsupported("model.continuing_subword_prefix", found: "\"\(prefix)\"", supported: supported)
        }
        if let suffix = model.endOfWordSuffix, !suffix.isEmpty {
            throw unsupported("model.end_of_word_suffix", found: "\"\(suffix)\"", supported: supported)
        }
        if model.byteFallback == true {
            throw unsupported("model.byte_fallback", found: "true", supported: supported)
        }
    }

    private func tokensByIdentifier(_ identifiers: [String: Int]) throws(TokenizerError) -> [String?] {
        guard let highest = identifiers.values.max() else {
            throw .invalidField(file: file, field: "model.vocab", expected: "at least 256 tokens", found: "none")
        }
        for (token, identifier) in identifiers where identifier < 0 || identifier >= Self.identifierLimit {
            throw .identifierOutOfRange(
                file: file, field: "model.vocab", token: token, identifier: identifier,
                limit: Self.identifierLimit - 1)
        }
        var tokens = [String?](repeating: nil, count: highest + 1)
        for (token, identifier) in identifiers {
            if let other = tokens[identifier] {
                throw .duplicateIdentifier(
                    file: file, field: "model.vocab", identifier: identifier, tokens: [other, token].sorted())
            }
            tokens[identifier] = token
        }
        return tokens
    }

    private func checkByteSymbols(_ lookup: (String) -> Int32?) throws(TokenizerError) {
        for byte in UInt8.min...UInt8.max where TokenizerLoader.occursInUTF8(byte) {
            guard lookup(ByteLevelAlphabet.text(of: [byte])) != nil else {
                throw .missingByteSymbol(file: file, byte: byte)
            }
        }
    }

    /// Whether a byte can be part of valid UTF-8 (RFC 3629, section 3).
    private static func occursInUTF8(_ byte: UInt8) -> Bool { byte < 0xC0 || (0xC2...0xF4).contains(byte) }

    private func merges(lookup: (String) -> Int32?) throws(TokenizerError) -> [Merge] {
        var merges: [Merge] = []
        switch fields.model.merges {
        case .pairs(let pairs):
            merges.reserveCapacity(pairs.count)
            for (index, pair) in pairs.enumerated() { merges.append(try merge(pair, index: index, lookup: lookup)) }
        case .lines(let lines):
            merges.reserveCapacity(lines.count)
            for (index, line) in lines.enumerated() where !line.hasPrefix("#version") {
                let pair = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
                merges.append(try merge(pair, index: index, lookup: lookup))
            }
        case nil:
            break
        }
        return merges
    }

    private func merge(_ pair: [String], index: Int, lookup: (String) -> Int32?) throws(TokenizerError) -> Merge {
        let field = "model.merges[\(index)]"
        guard pair.count == 2 else {
            throw .invalidField(
                file: file, field: field, expected: "two tokens", found: "\"\(pair.joined(separator: " "))\"")
        }
        func identifier(_ token: String) throws(TokenizerError) -> Int32 {
            guard let identifier = lookup(token) else {
                throw .unknownToken(file: file, field: field, token: token)
            }
            return identifier
        }
        for token in pair where ByteLevelAlphabet.bytes(of: token) == nil {
            throw unsupported(
                field, found: "\"\(token)\", which is not written in the byte-level alphabet,",
                supported: ["BPE at byte level"])
        }
        return Merge(
            left: try identifier(pair[0]), right: try identifier(pair[1]), merged: try identifier(pair[0] + pair[1]))
    }

    // MARK: Added tokens

    /// Added tokens have the id of the vocabulary's token of that text, or follow the vocabulary in order.
    private func addedTokens(
        vocabularyCount: Int, vocabulary: [String?], lookup: (String) -> Int32?
    ) throws(TokenizerError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        var taken: [Int: String] = [:]
        var following = vocabularyCount
        for (index, entry) in (fields.addedTokens ?? []).enumerated() where !entry.content.isEmpty {
            let field = "added_tokens[\(index)]"
            guard entry.id >= 0, entry.id < Self.identifierLimit else {
                throw .identifierOutOfRange(
                    file: file, field: field, token: entry.content, identifier: entry.id,
                    limit: Self.identifierLimit - 1)
            }
            if let other = taken.updateValue(entry.content, forKey: entry.id) {
                throw .duplicateIdentifier(
                    file: file, field: field, identifier: entry.id, tokens: [other, entry.content])
            }
            let own = lookup(entry.content).map(Int.init)
            guard entry.id == own ?? following else {
                throw .misplacedAddedToken(
                    file: file, token: entry.content, identifier: entry.id, expected: own ?? following)
            }
            if own == nil {
                if vocabulary.indices.contains(entry.id), let other = vocabulary[entry.id] {
                    throw .duplicateIdentifier(
                        file: file, field: field, identifier: entry.id, tokens: [other, entry.content])
                }
                following += 1
            }
            tokens.append(
                AddedToken(
                    identifier: Int32(entry.id), content: entry.content, isSpecial: entry.special,
                    stripsLeft: entry.lstrip, stripsRight: entry.rstrip, isSingleWord: entry.singleWord,
                    isNormalized: entry.normalized))
        }
        return tokens.sorted { $0.identifier < $1.identifier }
    }

    private func unsupported(_ field: String, found: String, supported: [String]) -> TokenizerError {
        .unsupported(file: file, field: field, found: found, supported: supported)
    }
}
