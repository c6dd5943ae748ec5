import Files
import Foundation

/// Writes a tokenizer as the `tokenizer.json` and `tokenizer_config.json` of Hugging Face tokenizers and transformers.
///
/// ``TokenizerLoader`` and ``TokenizerComponents`` read them.
struct TokenizerFileWriter {
    let description: TokenizerDescription

    /// - Throws: ``AtomicFileError``.
    func write(to folder: URL) throws {
        try AtomicFile.write(Data(tokenizer.utf8), to: folder.appendingPathComponent("tokenizer.json").path)
        try AtomicFile.write(Data(configuration.utf8), to: folder.appendingPathComponent("tokenizer_config.json").path)
    }

    // MARK: tokenizer.json

    var tokenizer: String {
        JSONText.object([
            ("version", JSONText.string("1.0")),
            ("truncation", "null"),
            ("padding", "null"),
            ("added_tokens", JSONText.list(description.addedTokens.map(addedToken))),
            ("normalizer", normalizer),
            ("pre_tokenizer", preTokenizer),
            ("post_processor", postProcessor),
            ("decoder", decoder),
            ("model", model),
        ]) + "\n"
    }

    private func addedToken(_ token: AddedToken) -> String {
        JSONText.object([
            ("id", "\(token.identifier)"),
            ("content", JSONText.string(token.content)),
            ("single_word", "\(token.isSingleWord)"),
            ("lstrip", "\(token.stripsLeft)"),
            ("rstrip", "\(token.stripsRight)"),
            ("normalized", "\(token.isNormalized)"),
            ("special", "\(token.isSpecial)"),
        ])
    }

    private var normalizer: String {
        let steps = description.normalizer.steps.map { step in
            switch step {
            case .nfc: #"{"type": "NFC"}"#
            case .prepend(let start): #"{"type": "Prepend", "prepend": \#(JSONText.string(start))}"#
            case .replace(let pattern, let content): replace(pattern, by: content)
            }
        }
        return oneOrSequence("normalizers", steps)
    }

    private func oneOrSequence(_ name: String, _ parts: [String]) -> String {
        guard parts.count > 1 else { return parts.first ?? "null" }
        return component("Sequence", [(name, JSONText.list(parts))])
    }

    private func component(_ type: String, _ fields: [(name: String, value: String)]) -> String {
        JSONText.object([("type", JSONText.string(type))] + fields)
    }

    private func replace(_ pattern: String, by content: String) -> String {
        #"{"type": "Replace", "pattern": {"String": \#(JSONText.string(pattern))}, "content": \#(JSONText.string(content))}"#
    }

    private var preTokenizer: String {
        let metaspaces = [description.preTokenizer.metaspace].compactMap(\.self).map { metaspace in
            component(
                "Metaspace",
                [
                    ("replacement", JSONText.string(String(metaspace.replacement))),
                    ("prepend_scheme", JSONText.string(metaspace.prefix.rawValue)),
                    ("split", "\(metaspace.startsWords)"),
                ])
        }
        let stages =
            metaspaces
            + description.preTokenizer.stages.map { stage in
                switch stage {
                case .literal(let cut): split("String", cut.pattern, behavior: cut.behavior)
                case .split(let pattern): split("Regex", pattern.rawValue, behavior: .isolated)
                case .digits(let individually): component("Digits", [("individual_digits", "\(individually)")])
                case .byteLevel(let addsPrefixSpace, let splits):
                    byteLevel(addsPrefixSpace: addsPrefixSpace, splits: splits)
                }
            }
        return oneOrSequence("pretokenizers", stages)
    }

    private func split(_ kind: String, _ pattern: String, behavior: LiteralSplit.Behavior) -> String {
        component(
            "Split",
            [
                ("pattern", JSONText.object([(kind, JSONText.string(pattern))])),
                ("behavior", JSONText.string(behavior.rawValue)), ("invert", "false"),
            ])
    }

    private func byteLevel(addsPrefixSpace: Bool, splits: Bool) -> String {
        component(
            "ByteLevel",
            [("add_prefix_space", "\(addsPrefixSpace)"), ("trim_offsets", "true"), ("use_regex", "\(splits)")])
    }

    private var decoder: String {
        guard case .characters(let space) = description.spelling else {
            return byteLevel(addsPrefixSpace: true, splits: true)
        }
        let parts =
            [space.map { replace(String($0), by: " ") }].compactMap(\.self)
            + [#"{"type": "ByteFallback"}"#, #"{"type": "Fuse"}"#]
        return component("Sequence", [("decoders", JSONText.list(parts))])
    }

    private var postProcessor: String {
        let template = description.template
        func items(_ tokens: [Int32], type: Int) -> [String] {
            tokens.map { #"{"SpecialToken": {"id": \#(JSONText.string(content(of: $0))), "type_id": \#(type)}}"# }
        }
        func sequence(_ name: String, type: Int) -> String {
            #"{"Sequence": {"id": "\#(name)", "type_id": \#(type)}}"#
        }
        func whole(_ name: String, type: Int) -> [String] {
            items(template.prefix, type: type) + [sequence(name, type: type)] + items(template.suffix, type: type)
        }
        let specialTokens = Set(template.prefix + template.suffix).sorted().map { token in
            let content = JSONText.string(content(of: token))
            return (content, #"{"id": \#(content), "ids": [\#(token)], "tokens": [\#(content)]}"#)
        }
        return component(
            "TemplateProcessing",
            [
                ("single", JSONText.list(whole("A", type: 0))),
                ("pair", JSONText.list(whole("A", type: 0) + whole("B", type: 1))),
                ("special_tokens", "{" + specialTokens.map { "\($0.0): \($0.1)" }.joined(separator: ", ") + "}"),
            ])
    }

    private var model: String {
        let tokens = description.vocabulary
        let vocabulary = tokens.indices.compactMap { identifier in
            tokens[identifier].map { "\(JSONText.string($0)): \(identifier)" }
        }
        let merges = description.merges.map { merge in
            "[\(JSONText.string(tokens[Int(merge.left)] ?? "")), \(JSONText.string(tokens[Int(merge.right)] ?? ""))]"
        }
        return component(
            "BPE",
            [
                ("dropout", "null"), ("unk_token", "null"), ("continuing_subword_prefix", "null"),
                ("end_of_word_suffix", "null"), ("fuse_unk", "false"),
                ("byte_fallback", "\(description.spelling != .byteLevel)"),
                ("ignore_merges", "\(description.ignoresMerges)"),
                ("vocab", "{\n" + vocabulary.joined(separator: ",\n") + "\n}"),
                ("merges", "[\n" + merges.joined(separator: ",\n") + "\n]"),
            ])
    }

    // MARK: tokenizer_config.json

    var configuration: String {
        var fields = [("tokenizer_class", JSONText.string("PreTrainedTokenizerFast"))]
        if let token = description.bosToken { fields.append(("bos_token", JSONText.string(content(of: token)))) }
        if let token = description.eosToken { fields.append(("eos_token", JSONText.string(content(of: token)))) }
        let addsBos = description.bosToken.map { description.template.prefix.contains($0) } ?? false
        fields.append(("add_bos_token", "\(addsBos)"))
        fields.append(("clean_up_tokenization_spaces", "false"))
        return JSONText.object(fields) + "\n"
    }

    private func content(of token: Int32) -> String {
        if let added = description.addedTokens.first(where: { $0.identifier == token }) { return added.content }
        return description.vocabulary.indices.contains(Int(token)) ? description.vocabulary[Int(token)] ?? "" : ""
    }
}

/// Builds JSON text whose fields keep their order.
enum JSONText {
    static func object(_ fields: [(name: String, value: String)]) -> String {
        "{" + fields.map { "\(string($0.name)): \($0.value)" }.joined(separator: ", ") + "}"
    }

    static func list(_ values: [String]) -> String { "[" + values.joined(separator: ", ") + "]" }

    static func string(_ text: String) -> String {
        var json = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": json += "\\\""
            case "\\": json += "\\\\"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                json += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: json.unicodeScalars.append(scalar)
            }
        }
        return json + "\""
    }
}
