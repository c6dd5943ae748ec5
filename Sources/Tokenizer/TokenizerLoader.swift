import Foundation

/// Makes a ``TokenizerDescription`` of a `tokenizer.json`, and refuses by name what cannot be followed exactly.
struct TokenizerLoader {
    private let file: String
    private let fields: TokenizerFile
    private let entries: [(token: String, identifier: Int)]
    private let configuration: TokenizerConfigurationFile?

    /// - Parameter url: A checkpoint folder, or a `tokenizer.json`. A `tokenizer_config.json` beside it is read too.
    static func description(contentsOf url: URL) throws(TokenizerError) -> TokenizerDescription {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
        let tokenizer = exists && isFolder.boolValue ? url.appendingPathComponent("tokenizer.json") : url
        let data = try TokenizerFileReader.data(at: tokenizer)
        let beside = tokenizer.deletingLastPathComponent().appendingPathComponent("tokenizer_config.json")
        var configuration: TokenizerConfigurationFile?
        if FileManager.default.fileExists(atPath: beside.path) {
            configuration = try TokenizerFileReader.read(TokenizerConfigurationFile.self, from: beside)
        }
        return try description(of: data, file: tokenizer.lastPathComponent, configuration: configuration)
    }

    static func description(
        of data: Data, file: String, configuration: TokenizerConfigurationFile?
    ) throws(TokenizerError) -> TokenizerDescription {
        let fields = try TokenizerFileReader.decode(TokenizerFile.self, from: data, file: file)
        var entries: [(token: String, identifier: Int)] = []
        if fields.model.vocabulary != nil {
            guard let found = VocabularyScanner.entries(in: Array(data)) else {
                throw .malformedJSON(file: file, reason: "model.vocab cannot be read as UTF-8.")
            }
            entries = found
        }
        return try TokenizerLoader(file: file, fields: fields, entries: entries, configuration: configuration)
            .description()
    }

    private func description() throws(TokenizerError) -> TokenizerDescription {
        if let version = fields.version, version != "1.0" {
            throw unsupported("version", found: "\"\(version)\"", supported: ["\"1.0\""])
        }
        let components = TokenizerComponents(file: file)
        try checkModelKind()
        let normalizer = try components.normalizer(fields.normalizer)
        let preTokenizer = try components.preTokenizer(fields.preTokenizer)
        let spelling = try components.spelling(fields.decoder, preTokenizer: preTokenizer)

        var lookup = TokenLookup(minimumCapacity: entries.count)
        for entry in entries {
            guard entry.identifier >= 0, entry.identifier < Tokenizer.identifierLimit else {
                throw .identifierOutOfRange(
                    file: file, field: "model.vocab", token: entry.token, identifier: entry.identifier,
                    limit: Tokenizer.identifierLimit - 1)
            }
            lookup.insert(entry.token, identifier: Int32(entry.identifier))
        }
        let vocabulary = try tokensByIdentifier(lookup)
        try checkEveryTextHasTokens(spelling, lookup)
        let addedTokens = try addedTokens(vocabularyCount: lookup.count, vocabulary: vocabulary, lookup: lookup)

        var description = TokenizerDescription(
            vocabulary: vocabulary, spelling: spelling, merges: try merges(spelling, lookup),
            ignoresMerges: fields.model.ignoreMerges ?? false, addedTokens: addedTokens, normalizer: normalizer,
            preTokenizer: preTokenizer)
        let isAssigned = { (identifier: Int) in
            vocabulary.indices.contains(identifier) && vocabulary[identifier] != nil
                || addedTokens.contains { Int($0.identifier) == identifier }
        }
        description.template = try components.template(fields.postProcessor, isAssigned: isAssigned)
        let anyToken = { (content: String) in
            addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.identifier ?? lookup[content]
        }
        description.eosToken = configuration?.eosToken.flatMap { anyToken($0.content) }
        description.bosToken = configuration?.bosToken.flatMap { anyToken($0.content) }
        let template = description.template
        if description.bosToken == nil, template.prefix.count == 1 { description.bosToken = template.prefix[0] }
        try SpecialTokenOptions(configuration, file: file).check(
            against: template, bos: description.bosToken,
            eos: description.eosToken ?? (template.suffix.count == 1 ? template.suffix[0] : nil))
        return description
    }

    // MARK: The model

    private func checkModelKind() throws(TokenizerError) {
        let model = fields.model
        let supported = ["BPE at byte level or with byte fallback, without dropout, prefix or suffix"]
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
    }

    private func tokensByIdentifier(_ lookup: TokenLookup) throws(TokenizerError) -> [String?] {
        guard let highest = lookup.identifiers.max() else {
            throw .invalidField(file: file, field: "model.vocab", expected: "at least 256 tokens", found: "none")
        }
        var tokens = [String?](repeating: nil, count: Int(highest) + 1)
        for entry in entries where lookup[entry.token].map(Int.init) == entry.identifier {
            if let other = tokens[entry.identifier], !other.utf8.elementsEqual(entry.token.utf8) {
                throw .duplicateIdentifier(
                    file: file, field: "model.vocab", identifier: entry.identifier,
                    tokens: [other, entry.token].sorted())
            }
            tokens[entry.identifier] = entry.token
        }
        return tokens
    }

    private func checkEveryTextHasTokens(_ spelling: TokenSpelling, _ lookup: TokenLookup) throws(TokenizerError) {
        if spelling != .byteLevel, fields.model.byteFallback != true {
            throw unsupported(
                "model.byte_fallback", found: "false without a ByteLevel pre-tokenizer",
                supported: ["true, so that every text can be encoded"])
        }
        try lookup.checkBytes(spelling, file: file)
    }

    private func merges(_ spelling: TokenSpelling, _ lookup: TokenLookup) throws(TokenizerError) -> [Merge] {
        var merges: [Merge] = []
        let reader = MergeReader(file: file, spelling: spelling, lookup: lookup)
        switch fields.model.merges {
        case .pairs(let pairs):
            merges.reserveCapacity(pairs.count)
            for (index, pair) in pairs.enumerated() {
                merges.append(try reader.merge(pair, field: "model.merges[\(index)]"))
            }
        case .lines(let lines):
            merges.reserveCapacity(lines.count)
            for (index, line) in lines.enumerated() where !line.utf8.starts(with: "#version".utf8) {
                merges.append(try reader.merge(line: line, field: "model.merges[\(index)]"))
            }
        case nil:
            break
        }
        return merges
    }

    // MARK: Added tokens

    /// Added tokens have the id of the vocabulary's token of that text, or follow the vocabulary in order.
    private func addedTokens(
        vocabularyCount: Int, vocabulary: [String?], lookup: TokenLookup
    ) throws(TokenizerError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        var taken: [Int: String] = [:]
        var following = vocabularyCount
        for (index, entry) in (fields.addedTokens ?? []).enumerated() where !entry.content.isEmpty {
            let field = "added_tokens[\(index)]"
            guard entry.id >= 0, entry.id < Tokenizer.identifierLimit else {
                throw .identifierOutOfRange(
                    file: file, field: field, token: entry.content, identifier: entry.id,
                    limit: Tokenizer.identifierLimit - 1)
            }
            if let other = taken.updateValue(entry.content, forKey: entry.id) {
                throw .duplicateIdentifier(
                    file: file, field: field, identifier: entry.id, tokens: [other, entry.content])
            }
            let own = lookup[entry.content].map(Int.init)
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
