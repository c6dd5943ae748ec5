import Foundation
import JSON

/// The fields of a Hugging Face `tokenizer.json` as the file has them; only their types are checked.
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

    /// A normalizer, pre-tokenizer, post-processor or decoder. The type decides which fields are present.
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
        /// Nil for types other than BPE, whose vocabularies have other shapes.
        let vocabulary: JSONTree?
        let merges: JSONTree?

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
            func field<Value: Decodable>(_ key: CodingKeys) throws -> Value? {
                try isBytePair ? fields.decodeIfPresent(Value.self, forKey: key) : nil
            }
            dropout = try field(.dropout)
            continuingSubwordPrefix = try field(.continuingSubwordPrefix)
            endOfWordSuffix = try field(.endOfWordSuffix)
            byteFallback = try field(.byteFallback)
            ignoreMerges = try field(.ignoreMerges)
            vocabulary = try isBytePair ? fields.decode(JSONTree.self, forKey: .vocabulary) : nil
            merges = try isBytePair ? fields.decode(JSONTree.self, forKey: .merges) : nil
        }
    }
}

/// The fields of a `tokenizer_config.json` that name special tokens and say which are added around a sequence.
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

/// Reads a JSON file of a tokenizer, and reports errors by file and field.
enum TokenizerFileReader {
    static func read<Fields: Decodable>(_ type: Fields.Type, from url: URL) throws(TokenizerError) -> Fields {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            guard FileManager.default.fileExists(atPath: url.path) else { throw .missingFile(url.path) }
            throw .unreadableFile(url.path, reason: error.localizedDescription)
        }
        return try decode(type, from: data, file: url.lastPathComponent)
    }

    static func decode<Fields: Decodable>(
        _ type: Fields.Type, from data: Data, file: String
    ) throws(TokenizerError) -> Fields {
        do {
            return try JSONTreeDecoder.decode(type, from: data)
        } catch let DecodingError.keyNotFound(key, context) {
            throw .missingField(file: file, field: path(context.codingPath + [key]))
        } catch let DecodingError.dataCorrupted(context) {
            // A ``JSONTreeDecoder`` says "expected ..., found ...".
            let parts = context.debugDescription.split(separator: ", found ", maxSplits: 1).map(String.init)
            guard !context.codingPath.isEmpty, parts.count == 2 else {
                throw .malformedJSON(file: file, reason: "\(context.debugDescription).")
            }
            throw .invalidField(
                file: file, field: path(context.codingPath), expected: String(parts[0].dropFirst("expected ".count)),
                found: parts[1])
        } catch {
            throw .malformedJSON(file: file, reason: "\(error).")
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("") { path, key in
            if let index = key.intValue { return "\(path)[\(index)]" }
            return path.isEmpty ? key.stringValue : "\(path).\(key.stringValue)"
        }
    }
}
