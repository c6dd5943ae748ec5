import Foundation

/// The fields of a Hugging Face `tokenizer.json` as they stand there, nothing checked but their types.
struct TokenizerFile: Decodable {
    let version: String?
    let addedTokens: [AddedTokenEntry]?
    let normalizer: Component?
    let preTokenizer: Component?
    let postProcessor: Component?
    let decoder: Component?
    let model: Model

    enum CodingKeys: String, CodingKey {
        case version, normalizer, decoder, model
        case addedTokens = "added_tokens"
        case preTokenizer = "pre_tokenizer"
        case postProcessor = "post_processor"
    }

    struct AddedTokenEntry: Decodable {
        let id: Int
        let content: String
        let singleWord: Bool
        let lstrip: Bool
        let rstrip: Bool
        let normalized: Bool
        let special: Bool

        enum CodingKeys: String, CodingKey {
            case id, content, lstrip, rstrip, normalized, special
            case singleWord = "single_word"
        }
    }

    /// A normalizer, pre-tokenizer, post-processor or decoder. Which fields there are depends on the type.
    struct Component: Decodable {
        let type: String
        // Sequence
        let normalizers: [Component]?
        let preTokenizers: [Component]?
        let processors: [Component]?
        let decoders: [Component]?
        // Split
        let pattern: Pattern?
        let behavior: String?
        let invert: Bool?
        // ByteLevel
        let addPrefixSpace: Bool?
        let useRegex: Bool?
        // Digits
        let individualDigits: Bool?
        // Prepend; Replace, which has a pattern too; Strip
        let prepend: String?
        let content: String?
        let start: Int?
        let stop: Int?
        // Metaspace
        let replacement: String?
        let prependScheme: String?
        let split: Bool?
        // TemplateProcessing
        let single: [TemplateItem]?
        let specialTokens: [String: TemplateToken]?

        enum CodingKeys: String, CodingKey {
            case type, normalizers, processors, decoders, pattern, behavior, invert, single
            case prepend, content, start, stop, replacement, split
            case prependScheme = "prepend_scheme"
            case preTokenizers = "pretokenizers"
            case addPrefixSpace = "add_prefix_space"
            case useRegex = "use_regex"
            case individualDigits = "individual_digits"
            case specialTokens = "special_tokens"
        }
    }

    struct Pattern: Decodable {
        let regex: String?
        let string: String?

        enum CodingKeys: String, CodingKey {
            case regex = "Regex"
            case string = "String"
        }
    }

    struct TemplateItem: Decodable {
        let specialToken: Name?
        let sequence: Name?

        struct Name: Decodable { let id: String }

        enum CodingKeys: String, CodingKey {
            case specialToken = "SpecialToken"
            case sequence = "Sequence"
        }
    }

    struct TemplateToken: Decodable {
        /// The name that it is listed under.
        let id: String?
        let ids: [Int]
    }

    struct Model: Decodable {
        let type: String?
        let dropout: Double?
        let continuingSubwordPrefix: String?
        let endOfWordSuffix: String?
        let byteFallback: Bool?
        let ignoreMerges: Bool?
        /// Nil where the model is not of the type BPE, whose vocabularies have other shapes.
        let vocabulary: [String: Int]?
        let merges: Merges?

        enum CodingKeys: String, CodingKey {
            case type, dropout, merges
            case continuingSubwordPrefix = "continuing_subword_prefix"
            case endOfWordSuffix = "end_of_word_suffix"
            case byteFallback = "byte_fallback"
            case ignoreMerges = "ignore_merges"
            case vocabulary = "vocab"
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            type = try fields.decodeIfPresent(String.self, forKey: .type)
            let isBytePair = type == nil || type == "BPE"
            dropout = try isBytePair ? fields.decodeIfPresent(Double.self, forKey: .dropout) : nil
            continuingSubwordPrefix =
                try isBytePair ? fields.decodeIfPresent(String.self, forKey: .continuingSubwordPrefix) : nil
            endOfWordSuffix = try isBytePair ? fields.decodeIfPresent(String.self, forKey: .endOfWordSuffix) : nil
            byteFallback = try isBytePair ? fields.decodeIfPresent(Bool.self, forKey: .byteFallback) : nil
            ignoreMerges = try isBytePair ? fields.decodeIfPresent(Bool.self, forKey: .ignoreMerges) : nil
            vocabulary = try isBytePair ? fields.decode([String: Int].self, forKey: .vocabulary) : nil
            merges = try isBytePair ? fields.decode(Merges.self, forKey: .merges) : nil
        }
    }

    /// Merges are written as `["a", "b"]`, or, before tokenizers 0.20, as `"a b"`.
    enum Merges: Decodable {
        case pairs([[String]])
        case lines([String])

        init(from decoder: any Decoder) throws {
            let list = try decoder.singleValueContainer()
            if let lines = try? list.decode([String].self) {
                self = .lines(lines)
            } else {
                self = .pairs(try list.decode([[String]].self))
            }
        }
    }
}

/// The fields of a `tokenizer_config.json` that name special tokens and say which are put around a sequence.
struct TokenizerConfigurationFile: Decodable {
    let tokenizerClass: String?
    let addBosToken: Bool?
    let addEosToken: Bool?
    let bosToken: SpecialToken?
    let eosToken: SpecialToken?

    enum CodingKeys: String, CodingKey {
        case tokenizerClass = "tokenizer_class"
        case addBosToken = "add_bos_token"
        case addEosToken = "add_eos_token"
        case bosToken = "bos_token"
        case eosToken = "eos_token"
    }

    /// Written as the token's text, or as an object with its text and flags.
    struct SpecialToken: Decodable {
        let content: String

        private enum CodingKeys: CodingKey { case content }

        init(from decoder: any Decoder) throws {
            if let text = try? decoder.singleValueContainer().decode(String.self) {
                content = text
            } else {
                content = try decoder.container(keyedBy: CodingKeys.self).decode(String.self, forKey: .content)
            }
        }
    }
}
