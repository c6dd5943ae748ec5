import Foundation

@testable import Tokenizer

/// Tokenizers that Hugging Face tokenizers trained, and what it makes of texts with them
/// (`byte_level_tokenizers.py` and `sentencepiece_tokenizers.py` in `scripts/fixtures`).
struct TokenizerFixture {
    static let kinds = [
        "gpt2", "llama3", "qwen2", "gpt-neox", "smollm", "digit-runs", "prefix-space", "prefix-space-each",
        "llama2", "mistral", "metaspace", "gemma",
    ]

    struct Expected: Decodable {
        let ids: [[Int32]]
        let withSpecialTokens: [Int32]
        let decoded: [String]
        let generated: [String: Generated]

        struct Generated: Decodable {
            let count: Int
            let sha256: String
        }

        enum CodingKeys: String, CodingKey {
            case ids, decoded, generated
            case withSpecialTokens = "with_special_tokens"
        }
    }

    let folder: URL

    init(_ kind: String) {
        folder = Self.root.appendingPathComponent(kind)
    }

    func tokenizer() throws -> Tokenizer { try Tokenizer(contentsOf: folder) }

    func expected() throws -> Expected {
        try Self.decode(Expected.self, folder.appendingPathComponent("expected.json"))
    }

    /// The file's JSON, for a test to change before it is read.
    func fields() throws -> [String: Any] {
        let data = try Data(contentsOf: folder.appendingPathComponent("tokenizer.json"))
        return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }

    static func texts() throws -> [String] { try decode([String].self, root.appendingPathComponent("texts.json")) }

    static func pieces() throws -> [String] { try decode([String].self, root.appendingPathComponent("pieces.json")) }

    /// What the reference trainer made of the first texts.
    static func trainedReference<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try decode(type, root.appendingPathComponent("trained.json"))
    }

    /// A vocabulary that sentencepiece trained, with the scores it goes by, and the ids it gives.
    struct Scores: Decodable {
        let tokens: [String]
        let scores: [Float]
        let types: [Int32]
        let texts: [String]
        let ids: [[Int32]]

        var metadata: GGUFTokenizerMetadata {
            var metadata = GGUFTokenizerMetadata(model: "llama", tokens: tokens)
            (metadata.scores, metadata.tokenTypes) = (scores, types)
            (metadata.bosToken, metadata.eosToken, metadata.unknownToken) = (1, 2, 0)
            return metadata
        }
    }

    static func scores() throws -> Scores { try decode(Scores.self, root.appendingPathComponent("scores.json")) }

    /// The generator of the script that made the fixtures.
    static func generatedText(seed: UInt64, length: Int) throws -> String {
        let pieces = try pieces()
        var state = seed
        var text = ""
        while text.utf8.count < length {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            text += pieces[Int((state >> 33) % UInt64(pieces.count))]
        }
        return text
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    private static func decode<Value: Decodable>(_ type: Value.Type, _ url: URL) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: url))
    }
}

/// A folder of its own, removed with everything in it at the end of `body`.
func withTokenizerFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}
