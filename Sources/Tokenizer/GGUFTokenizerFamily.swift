/// What a name in `tokenizer.ggml.pre` stands for: all of a byte-level tokenizer that a GGUF file itself does not hold.
struct GGUFTokenizerFamily: Sendable {
    let stages: [PreTokenizer.Stage]
    var normalizer = Normalizer.none
    /// Whether a word that is itself a token becomes that token whatever the merges would make of it.
    var ignoresMerges = false
    /// Whether BOS is put before a sequence where the file does not say.
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
}

extension GGUFTokenizerFamily {
    /// The family of a name, if it is known.
    init?(_ name: String) {
        guard let family = Self.families[name] else { return nil }
        self = family
    }
}
