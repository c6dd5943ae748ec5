import Files

/// Everything that determines the ids of a text, checked. Readers of file formats and the trainer make it; the writer writes it.
struct TokenizerDescription: Sendable, Equatable {
    /// Ids must be below this limit, which is far beyond any vocabulary, and small enough for a table by id.
    static let identifierLimit = 1 << 22

    /// The model's tokens by id; nil for ids without a token. Ids of added tokens can be higher.
    var vocabulary: [String?]
    var spelling = TokenSpelling.byteLevel
    /// In order of rank.
    var merges: [Merge]
    /// The rank of each merge, where several merges share a rank; nil where a merge's rank is its index.
    var sharedRanks: [Int32]?
    /// Whether a word that is itself a token becomes that token, even if the merges give other tokens.
    var ignoresMerges = false
    /// In order of id.
    var addedTokens: [AddedToken]
    var normalizer = Normalizer.none
    var preTokenizer = PreTokenizer.gpt2
    var template = SequenceTemplate()
    var bosToken: Int32?
    var eosToken: Int32?

    /// One more than the highest id.
    var identifierCount: Int {
        max(vocabulary.count, addedTokens.reduce(0) { max($0, Int($1.identifier) + 1) })
    }

    /// A digest of everything that determines ids, however the files spell it. BOS and EOS count only as part of the template.
    var digest: String {
        var digest = ContentDigest()
        func add(_ text: String) {
            digest.update(UInt64(text.utf8.count))
            digest.update(text)
        }
        func add(_ numbers: [Int32]) {
            digest.update(UInt64(numbers.count))
            for number in numbers { digest.update(UInt64(UInt32(bitPattern: number))) }
        }
        add("byte-level BPE, description 1")
        digest.update(UInt64(vocabulary.count))
        for token in vocabulary {
            digest.update(UInt64(token == nil ? 0 : 1))
            add(token ?? "")
        }
        add(merges.flatMap { [$0.left, $0.right, $0.merged] })
        digest.update(UInt64(ignoresMerges ? 1 : 0))
        digest.update(UInt64(addedTokens.count))
        for token in addedTokens {
            add([token.identifier])
            add(token.content)
            let flags = [
                token.isSpecial, token.stripsLeft, token.stripsRight, token.isSingleWord, token.isNormalized,
            ]
            add(flags.map { $0 ? 1 : 0 })
        }
        add(normalizer.digestText)
        digest.update(UInt64(preTokenizer.stages.count))
        for stage in preTokenizer.stages {
            switch stage {
            case .split(let pattern): add("split \(pattern.rawValue)")
            case .literal(let split): add("literal \(split.behavior.rawValue) \(split.pattern)")
            case .digits(let individually): add("digits \(individually)")
            case .byteLevel(let addsPrefixSpace, let splits): add("byte level \(addsPrefixSpace) \(splits)")
            }
        }
        add(template.prefix)
        add(template.suffix)
        // Later additions count only where they are set, so that older digests stay valid.
        if case .characters = spelling { add("characters") }
        if let sharedRanks { add(sharedRanks) }
        if let metaspace = preTokenizer.metaspace {
            add("metaspace \(metaspace.replacement) \(metaspace.prefix) \(metaspace.startsWords)")
        }
        // Earlier versions added a second BOS to documents that spell one out, and no EOS: their corpora must differ in digest.
        if !template.isEmpty { add("template around each document, once") }
        return digest.hexadecimal
    }
}

extension Normalizer {
    fileprivate var digestText: String {
        guard !steps.isEmpty else { return "none" }
        let names = steps.map { step in
            switch step {
            case .nfc: "nfc"
            case .prepend(let start): "prepend \(start.utf8.count) \(start)"
            case .replace(let pattern, let content):
                "replace \(pattern.utf8.count) \(pattern) \(content.utf8.count) \(content)"
            }
        }
        return names.joined(separator: ", ")
    }
}

/// The tokens that the tokenizer's files add around every sequence.
///
/// A text that already starts or ends with them does not get them twice. (Hugging Face tokenizers adds them again.)
struct SequenceTemplate: Sendable, Equatable {
    var prefix: [Int32] = []
    var suffix: [Int32] = []

    var isEmpty: Bool { prefix.isEmpty && suffix.isEmpty }

    /// The tokens of a text that follow the prefix: all except those at its start that repeat the end of the prefix.
    func behindPrefix(_ tokens: [Int32]) -> ArraySlice<Int32> {
        for overlap in stride(from: min(prefix.count, tokens.count), to: 0, by: -1)
        where prefix.suffix(overlap) == tokens.prefix(overlap) {
            return tokens.dropFirst(overlap)
        }
        return tokens[...]
    }

    /// The tokens to append to `tokens`: the suffix without the part that they already end with.
    func missingSuffix(of tokens: ArraySlice<Int32>) -> ArraySlice<Int32> {
        for overlap in stride(from: min(suffix.count, tokens.count), to: 0, by: -1)
        where suffix.prefix(overlap) == tokens.suffix(overlap) {
            return suffix.dropFirst(overlap)
        }
        return suffix[...]
    }
}

/// One merge of byte-pair encoding: two neighbouring tokens become one.
struct Merge: Sendable, Equatable {
    let left: Int32
    let right: Int32
    let merged: Int32
}
