// Encodes files of texts with a tokenizer, for scripts/check-tokenizers.
//
//   EncodeFiles TOKENIZER TEXTS IDS [PASSES]
//
// TOKENIZER is a tokenizer.json, or a *.gguf.json with the tokenizer keys of a GGUF file. TEXTS and IDS are lists. Each item follows its
// count, a little-endian 32-bit integer; the items of TEXTS are UTF-8 bytes, and those of IDS are 32-bit ids. With PASSES, prints the
// processor time in seconds of the fastest pass over all texts, each pass with a new tokenizer whose cache is empty. Exits with status 1
// if the tokenizer changes nothing in a text and the text nevertheless does not come back from its tokens.

import Foundation

@main
struct EncodeFiles {
    static func main() throws {
        let arguments = CommandLine.arguments
        let texts = try readTexts(arguments[2])
        var ids = Data()
        var tokenizer = try Self.tokenizer(arguments[1])
        let isExact = isExact(tokenizer)
        var lost = 0
        for text in texts {
            let tokens = tokenizer.encode(text, addSpecialTokens: false)
            append(tokens.count, to: &ids)
            for token in tokens { append(Int(token), to: &ids) }
            if isExact, !tokenizer.decode(tokens).utf8.elementsEqual(text.utf8) { lost += 1 }
        }
        try ids.write(to: URL(fileURLWithPath: arguments[3]))
        var best = Double.infinity
        for _ in 0..<(arguments.count > 4 ? Int(arguments[4]) ?? 0 : 0) {
            tokenizer = try Self.tokenizer(arguments[1])
            let start = processorTime()
            for text in texts { _ = tokenizer.encode(text, addSpecialTokens: false) }
            best = min(best, processorTime() - start)
        }
        if best.isFinite { print(best) }
        if lost > 0 {
            FileHandle.standardError.write(Data("\(lost) texts do not come back from their tokens\n".utf8))
            exit(1)
        }
    }

    /// Whether decoding gives a text back byte for byte.
    static func isExact(_ tokenizer: Tokenizer) -> Bool {
        let description = tokenizer.description
        let addsSpace = description.preTokenizer.stages.contains {
            if case .byteLevel(true, _) = $0 { true } else { false }
        }
        let symbols = Set(
            description.vocabulary.compactMap { $0.flatMap(ByteLevelAlphabet.bytes) }.filter { $0.count == 1 })
        let lacksBytes = (UInt8.min...0xF4).contains { !symbols.contains([$0]) && !(0xC0...0xC1).contains($0) }
        return description.spelling == .byteLevel && description.normalizer == .none && !addsSpace && !lacksBytes
            && !description.addedTokens.contains { $0.stripsLeft || $0.stripsRight }
    }

    static func tokenizer(_ path: String) throws -> Tokenizer {
        guard path.hasSuffix(".gguf.json") else { return try Tokenizer(contentsOf: URL(fileURLWithPath: path)) }
        let keys = try JSONDecoder().decode(Keys.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        return try Tokenizer(keys.metadata, file: path)
    }

    struct Keys: Decodable {
        let model: String
        let pre: String?
        let tokens: [String]
        let scores: [Float]?
        let types: [Int32]?
        let merges: [String]?
        let bos: Int?
        let eos: Int?
        let unknown: Int?
        let addBos: Bool?
        let addEos: Bool?
        let addSpacePrefix: Bool?

        var metadata: GGUFTokenizerMetadata {
            var metadata = GGUFTokenizerMetadata(model: model, tokens: tokens)
            (metadata.preTokenizer, metadata.scores, metadata.tokenTypes) = (pre, scores, types)
            (metadata.merges, metadata.bosToken, metadata.eosToken) = (merges, bos, eos)
            (metadata.unknownToken, metadata.addsBos, metadata.addsEos) = (unknown, addBos, addEos)
            metadata.addsSpacePrefix = addSpacePrefix
            return metadata
        }
    }

    static func readTexts(_ path: String) throws -> [String] {
        let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
        var texts: [String] = []
        var position = 0
        while position < bytes.count {
            let count = (0..<4).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
            position += 4
            texts.append(String(decoding: bytes[position..<position + count], as: UTF8.self))
            position += count
        }
        return texts
    }

    static func append(_ value: Int, to data: inout Data) {
        withUnsafeBytes(of: Int32(truncatingIfNeeded: value).littleEndian) { data.append(contentsOf: $0) }
    }

    static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
