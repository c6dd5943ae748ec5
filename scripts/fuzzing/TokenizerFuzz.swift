// Fed by libFuzzer. The first byte says what the remainder is: a tokenizer.json, parts of one around a small vocabulary, a GGUF file's
// tokens, or, in most cases because it is much faster, a text. After the byte 0xFF comes a text that the resulting tokenizer must encode.
// Its ids must exist and, if the tokenizer changes nothing, decode to the same text.

import Foundation

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTokenizer(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    guard let mode = bytes.first else { return 0 }
    let parts = bytes.dropFirst().split(separator: 0xFF, maxSplits: 1, omittingEmptySubsequences: false)
    let input = Array(parts[0])
    let text = String(decoding: parts.count > 1 ? Array(parts[1]) : input, as: UTF8.self)
    switch mode % 64 {
    case 0: tokenizer(file: input).map { check($0, text) }
    case 1: tokenizer(file: BaseFile.byteLevel(with: input)).map { check($0, text) }
    case 2: tokenizer(file: BaseFile.characters(with: input)).map { check($0, text) }
    case 3: tokenizer(metadata: input).map { check($0, text) }
    default: check(BaseFile.tokenizers[Int(mode) % BaseFile.tokenizers.count], text)
    }
    return 0
}

func tokenizer(file: [UInt8]) -> Tokenizer? {
    do {
        let description = try TokenizerLoader(
            file: "tokenizer.json",
            fields: try TokenizerFileReader.decode(TokenizerFile.self, from: Data(file), file: "tokenizer.json"),
            configuration: nil
        ).description()
        return Tokenizer(description)
    } catch {
        precondition(!error.description.isEmpty)
        return nil
    }
}

/// Tokens of a GGUF file, one per line, each after one letter for its type and one for its score.
func tokenizer(metadata input: [UInt8]) -> Tokenizer? {
    let lines = input.split(separator: 0x0A).map(Array.init)
    var metadata = GGUFTokenizerMetadata(model: "llama", tokens: (UInt8.min...UInt8.max).map(CharacterSymbols.name))
    var types = [Int32](repeating: 6, count: 256)
    var scores = [Float](repeating: 0, count: 256)
    for line in lines where line.count > 1 {
        metadata.tokens.append(String(decoding: line.dropFirst(2), as: UTF8.self))
        types.append(line[0] < 0x60 ? Int32(line[0] % 7) : 1)
        scores.append(line[1] == 0x21 ? -.infinity : -Float(line[1] % 16))
    }
    (metadata.tokenTypes, metadata.scores) = (types, scores)
    (metadata.addsBos, metadata.addsSpacePrefix) = (false, lines.count % 2 == 0)
    return try? Tokenizer(metadata, file: "model.gguf")
}

func check(_ tokenizer: Tokenizer, _ text: String) {
    let tokens = tokenizer.encode(text, addSpecialTokens: false)
    precondition(tokens.allSatisfy { (0..<Int32(tokenizer.vocabularyCount)).contains($0) }, "an id that is no token's")
    let decoded = tokenizer.decode(tokens)
    let description = tokenizer.description
    if description.spelling == .byteLevel, description.normalizer == .none, description.addedTokens.isEmpty,
        description.preTokenizer.stages.allSatisfy({ if case .byteLevel(true, _) = $0 { false } else { true } })
    {
        precondition(decoded.utf8.elementsEqual(text.utf8), "decoded, it is another text")
    }
    let middle = text.unicodeScalars.index(text.startIndex, offsetBy: text.unicodeScalars.count / 2)
    let (prompt, completion) = (String(text[..<middle]), String(text[middle...]))
    let joined = tokenizer.encodeJoined(prompt: prompt, completion: completion, addSpecialTokens: false)
    precondition(joined.tokens == tokens, "joined, it is other tokens")
    precondition((0...tokens.count).contains(joined.completionStart))
}

/// Small tokenizers to put parts around.
enum BaseFile {
    private static let letters = ["t", "h", "e", "\u{2581}", "a", "\u{301}", "的"]
    private static let merged = ["th", "the", "\u{2581}the", "\u{2581}\u{2581}", "aa", "a\u{301}"]
    private static let charactersModel = model(
        (UInt8.min...UInt8.max).map(CharacterSymbols.name) + letters + merged,
        [["t", "h"], ["th", "e"], ["\u{2581}", "the"], ["\u{2581}", "\u{2581}"], ["a", "a"], ["a", "\u{301}"]])
    private static let byteLevelModel = model(
        (UInt8.min...UInt8.max).map { ByteLevelAlphabet.text(of: [$0]) } + ["th", "Ġt", "Ġth", "ĠĠ", "aa", "the"],
        [["t", "h"], ["Ġ", "th"], ["Ġ", "t"], ["Ġ", "Ġ"], ["a", "a"], ["th", "e"]])

    private static func model(_ tokens: [String], _ merges: [[String]]) -> String {
        let vocabulary = tokens.enumerated().map { "\(JSONText.string($1)): \($0)" }.joined(separator: ", ")
        let pairs = merges.map { "[\(JSONText.string($0[0])), \(JSONText.string($0[1]))]" }.joined(separator: ", ")
        return #"{"byte_fallback": true, "vocab": {\#(vocabulary)}, "merges": [\#(pairs)]}"#
    }

    /// The input is further members of the file's object.
    static func byteLevel(with members: [UInt8]) -> [UInt8] {
        Array(#"{"model": \#(byteLevelModel), "decoder": {"type": "ByteLevel"}, "#.utf8) + members + [UInt8(ascii: "}")]
    }

    static func characters(with members: [UInt8]) -> [UInt8] {
        Array(#"{"model": \#(charactersModel), "#.utf8) + members + [UInt8(ascii: "}")]
    }

    static let tokenizers: [Tokenizer] = {
        let level = #"{"type": "ByteLevel", "add_prefix_space": false}"#
        let split = { (pattern: SplitPattern) in
            #"{"type": "Split", "pattern": {"Regex": \#(JSONText.string(pattern.rawValue))}, "behavior": "Isolated"}"#
        }
        let bytes = [
            #""pre_tokenizer": \#(level)"#,
            #""pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, \#(level)]}"#,
            #""pre_tokenizer": {"type": "Sequence", "pretokenizers": [\#(split(.llama3)), \#(level)]}"#,
            #""normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [\#(split(.qwen2)), \#(level)]}"#,
        ]
        let added =
            #""added_tokens": [{"id": 269, "content": "<s>", "single_word": true, "lstrip": true, "rstrip": true, "normalized": true, "special": true}]"#
        let characters = [
            #""normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}"#,
            #""pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}, \#(added)"#,
            #""pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}"#,
        ]
        let files =
            bytes.map { byteLevel(with: Array($0.utf8)) } + characters.map { BaseFile.characters(with: Array($0.utf8)) }
        let all = files.compactMap(tokenizer(file:))
        precondition(all.count == files.count)
        return all
    }()
}
