import Foundation
import JSON

/// Makes a ``TokenizerDescription`` from a `tokenizer.json`, and refuses by name what it cannot follow exactly.
struct TokenizerLoader {
    let file: String
    let fields: TokenizerFile
    let configuration: TokenizerConfigurationFile?

    /// - Parameter url: A checkpoint folder, or a `tokenizer.json`. A `tokenizer_config.json` beside it is read too.
    static func description(contentsOf url: URL) throws(TokenizerError) -> TokenizerDescription {
        let tokenizer = isFolder(url) ? url.appendingPathComponent("tokenizer.json") : url
        let fields = try TokenizerFileReader.read(TokenizerFile.self, from: tokenizer)
        let beside = tokenizer.deletingLastPathComponent().appendingPathComponent("tokenizer_config.json")
        var configuration: TokenizerConfigurationFile?
        if FileManager.default.fileExists(atPath: beside.path) {
            configuration = try TokenizerFileReader.read(TokenizerConfigurationFile.self, from: beside)
        }
        return try TokenizerLoader(file: tokenizer.lastPathComponent, fields: fields, configuration: configuration)
            .description()
    }

    static func folder(of url: URL) -> URL { isFolder(url) ? url : url.deletingLastPathComponent() }

    private static func isFolder(_ url: URL) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) && isFolder.boolValue
    }

    func description() throws(TokenizerError) -> TokenizerDescription {
        if let version = fields.version, version != "1.0" {
            throw unsupported("version", found: "\"\(version)\"", supported: ["\"1.0\""])
        }
        try checkModelKind()
        let entries = try Self.entries(of: fields.model, file: file)
        let components = TokenizerComponents(file: file)
        let normalizer = try components.normalizer(fields.normalizer)
        let preTokenizer = try components.preTokenizer(fields.preTokenizer)
        let spelling = try components.spelling(fields.decoder, preTokenizer: preTokenizer)

        var lookup = TokenLookup(minimumCapacity: entries.count)
        for (token, identifier) in entries {
            try checkRange(of: identifier, token: token, field: "model.vocab")
            lookup.insert(token, identifier: Int32(identifier))
        }
        let vocabulary = try tokensByIdentifier(entries)
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

    /// The tokens of a vocabulary with their ids, in the order of the file.
    ///
    /// Tokens differ by their bytes: a vocabulary can have `Å` the letter and `Å` the unit, which are equal strings to Swift.
    static func entries(
        of model: TokenizerFile.Model, file: String
    ) throws(TokenizerError) -> [(token: String, identifier: Int)] {
        guard case .object(let members)? = model.vocabulary else {
            throw .invalidField(
                file: file, field: "model.vocab", expected: "an object", found: model.vocabulary?.shown ?? "nothing")
        }
        var entries: [(token: String, identifier: Int)] = []
        entries.reserveCapacity(members.count)
        for member in members {
            guard case .number(let digits) = member.value,
                let identifier = Int(digits) ?? Double(digits).flatMap({ Int(exactly: $0) })
            else {
                throw .invalidField(
                    file: file, field: "model.vocab.\(member.name)", expected: "a whole number",
                    found: member.value.shown)
            }
            entries.append((member.name, identifier))
        }
        return entries
    }

    private func checkRange(of identifier: Int, token: String, field: String) throws(TokenizerError) {
        let limit = TokenizerDescription.identifierLimit
        guard identifier < 0 || identifier >= limit else { return }
        throw .identifierOutOfRange(
            file: file, field: field, token: token, identifier: identifier, limit: limit - 1)
    }

    private func tokensByIdentifier(
        _ entries: [(token: String, identifier: Int)]
    ) throws(TokenizerError) -> [String?] {
        guard let highest = entries.lazy.map(\.identifier).max() else {
            throw .invalidField(file: file, field: "model.vocab", expected: "at least 256 tokens", found: "none")
        }
        var tokens = [String?](repeating: nil, count: highest + 1)
        for (token, identifier) in entries {
            if let other = tokens[identifier] {
                throw .duplicateIdentifier(
                    file: file, field: "model.vocab", identifier: identifier, tokens: [other, token].sorted())
            }
            tokens[identifier] = token
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

    /// Merges are written as `["a", "b"]`, or, before tokenizers 0.20, as `"a b"`.
    private func merges(_ spelling: TokenSpelling, _ lookup: TokenLookup) throws(TokenizerError) -> [Merge] {
        func invalid(_ field: String, expected: String, found: JSONTree?) -> TokenizerError {
            .invalidField(file: file, field: field, expected: expected, found: found?.shown ?? "nothing")
        }
        guard case .array(let list)? = fields.model.merges else {
            throw invalid("model.merges", expected: "a list", found: fields.model.merges)
        }
        let reader = MergeReader(file: file, spelling: spelling, lookup: lookup)
        let areLines = if case .string? = list.first { true } else { false }
        var merges: [Merge] = []
        merges.reserveCapacity(list.count)
        for (index, merge) in list.enumerated() {
            let field = "model.merges[\(index)]"
            switch merge {
            case .string(let line) where areLines:
                if line.utf8.starts(with: "#version".utf8) { continue }
                merges.append(try reader.merge(line: line, field: field))
            case .array(let parts) where !areLines:
                var pair: [String] = []
                for (part, token) in parts.enumerated() {
                    guard case .string(let text) = token else {
                        throw invalid("\(field)[\(part)]", expected: "a string", found: token)
                    }
                    pair.append(text)
                }
                merges.append(try reader.merge(pair, field: field))
            default: throw invalid(field, expected: areLines ? "a string" : "a list", found: merge)
            }
        }
        return merges
    }

    // MARK: Added tokens

    /// An added token has the id that the vocabulary gives its text; the others follow the vocabulary in order.
    private func addedTokens(
        vocabularyCount: Int, vocabulary: [String?], lookup: TokenLookup
    ) throws(TokenizerError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        var taken: [Int: String] = [:]
        var following = vocabularyCount
        for (index, entry) in (fields.addedTokens ?? []).enumerated() where !entry.content.isEmpty {
            let field = "added_tokens[\(index)]"
            try checkRange(of: entry.id, token: entry.content, field: field)
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

/// Looks up the tokens of merges that are written as text.
struct MergeReader {
    let file: String
    let spelling: TokenSpelling
    let lookup: TokenLookup

    /// A merge written as its two tokens with a space between them.
    func merge(line: String, field: String) throws(TokenizerError) -> Merge {
        // Unicode scalars: a space followed by a combining mark is one `Character`, but it still separates the tokens.
        let parts = line.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
        return try merge(parts.map { String($0) }, field: field)
    }

    func merge(_ pair: [String], field: String) throws(TokenizerError) -> Merge {
        guard pair.count == 2 else {
            throw .invalidField(
                file: file, field: field, expected: "two tokens", found: "\"\(pair.joined(separator: " "))\"")
        }
        for token in pair where spelling.bytesInText(of: token) == nil {
            throw .unsupported(
                file: file, field: field, found: "\"\(token)\", which is not written in the byte-level alphabet,",
                supported: ["BPE at byte level"])
        }
        return Merge(
            left: try identifier(pair[0], field: field), right: try identifier(pair[1], field: field),
            merged: try identifier(pair[0] + pair[1], field: field))
    }

    private func identifier(_ token: String, field: String) throws(TokenizerError) -> Int32 {
        guard let identifier = lookup[token] else { throw .unknownToken(file: file, field: field, token: token) }
        return identifier
    }
}

/// The options in `tokenizer_config.json` for tokens around a text, which must agree with the template of `tokenizer.json`.
///
/// Most classes of Hugging Face transformers follow the template alone. In transformers 4, five classes replaced it by a template
/// made from `add_bos_token` and `add_eos_token`. In transformers 5, three of these follow the template, and two
/// (`CodeLlamaTokenizer`, `GPTNeoXTokenizer`) use their defaults whatever the files say. Tributary therefore follows the template. If
/// the options of such a class contradict the template, the files do not show what the model was trained with, so the tokenizer is
/// refused.
struct SpecialTokenOptions {
    private let file: String
    /// Without the suffix `Fast`; nil where the file names no class.
    private let tokenizerClass: String?
    private var addsBos: Bool?
    private var addsEos: Bool?

    /// - Parameter file: The name of the `tokenizer.json`, for errors.
    init(_ configuration: TokenizerConfigurationFile?, file: String) {
        self.file = file
        tokenizerClass = configuration?.tokenizerClass.map { name in
            name.utf8.suffix(4).elementsEqual("Fast".utf8) ? String(name.unicodeScalars.dropLast(4)) : name
        }
        addsBos = configuration?.addBosToken
        addsEos = configuration?.addEosToken
        switch tokenizerClass {
        case nil, "LlamaTokenizer", "GemmaTokenizer", "CohereTokenizer":
            // Without a class, transformers 4 used the class of the model's family.
            break
        case "CodeLlamaTokenizer":
            addsBos = addsBos ?? true
            addsEos = addsEos ?? false
        case "GPTNeoXTokenizer":
            addsBos = addsBos ?? false
            addsEos = addsEos ?? false
        default:
            (addsBos, addsEos) = (nil, nil)
        }
    }

    /// - Throws: ``TokenizerError/contradictoryTemplate(file:field:value:tokenizerClass:puts:)``
    func check(against template: SequenceTemplate, bos: Int32?, eos: Int32?) throws(TokenizerError) {
        try check("add_bos_token", addsBos, token: bos, against: template.prefix, side: "before")
        try check("add_eos_token", addsEos, token: eos, against: template.suffix, side: "behind")
    }

    private func check(
        _ field: String, _ value: Bool?, token: Int32?, against found: [Int32], side: String
    ) throws(TokenizerError) {
        guard let value else { return }
        let agrees = value ? token.map { found == [$0] } ?? false : found.isEmpty
        guard !agrees else { return }
        throw .contradictoryTemplate(
            file: file, field: field, value: value, tokenizerClass: tokenizerClass,
            puts: (found.isEmpty ? "nothing" : "the tokens \(found)") + " \(side) a text")
    }
}
