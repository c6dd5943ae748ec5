import Files

/// All that determines which ids a text becomes: what the files say, checked and without what does not matter here.
///
/// A file format's reader makes one, the trainer makes one, the writer writes one.
struct TokenizerDescription: Sendable, Equatable {
    /// The model's tokens by id; nil for ids without a token. Added tokens may lie beyond.
    var vocabulary: [String?]
    var spelling = TokenSpelling.byteLevel
    /// In order of rank.
    var merges: [Merge]
    /// The ranks of the merges, where several share one; nil where each has its place for its rank.
    var sharedRanks: [Int32]?
    /// Whether a word that is itself a token becomes that token whatever the merges would make of it.
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

    /// A digest of everything that determines ids, however the files spell it. BOS and EOS as such do not count, only
    /// what is put around a sequence.
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
        // What came later is added only where it is set, so that the digests of before stay.
        if case .characters = spelling { add("characters") }
        if let sharedRanks { add(sharedRanks) }
        if let metaspace = preTokenizer.metaspace {
            add("metaspace \(metaspace.replacement) \(metaspace.prefix) \(metaspace.startsWords)")
        }
        // Documents once had a second BOS where they spell it out, and no EOS: a corpus of that time is another corpus.
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
