import Foundation
import Testing

@testable import Tokenizer

@Suite("A GGUF file's tokenizer")
struct GGUFTokenizerTests {
    /// A fixture as a GGUF file would have it.
    static func metadata(_ kind: String, pre: String?) throws -> GGUFTokenizerMetadata {
        let description = try TokenizerFixture(kind).tokenizer().description
        var tokens = description.vocabulary.map { $0 ?? "" }
        var types = [Int32](repeating: 1, count: tokens.count)
        for token in description.addedTokens {
            if Int(token.identifier) == tokens.count {
                tokens.append(token.content)
                types.append(1)
            }
            types[Int(token.identifier)] = token.isSpecial ? 3 : 4
        }
        var metadata = GGUFTokenizerMetadata(model: "gpt2", tokens: tokens)
        metadata.preTokenizer = pre
        metadata.tokenTypes = types
        metadata.merges = description.merges.map { "\(tokens[Int($0.left)]) \(tokens[Int($0.right)])" }
        metadata.bosToken = description.bosToken.map(Int.init) ?? 0
        return metadata
    }

    @Test(
        "gives the ids of the tokenizer.json it was made from",
        arguments: [("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("smollm", "smollm"), ("gpt-neox", "olmo")])
    func identifiers(kind: String, pre: String) throws {
        let reference = try TokenizerFixture(kind).tokenizer()
        let tokenizer = try Tokenizer(Self.metadata(kind, pre: pre), file: "model.gguf")
        for text in try TokenizerFixture.texts() {
            #expect(
                tokenizer.encode(text, addSpecialTokens: false) == reference.encode(text, addSpecialTokens: false))
        }
    }

    @Test("puts BOS and EOS around a sequence where the file, or its silence, says so")
    func specialTokens() throws {
        var metadata = try Self.metadata("llama3", pre: "llama-bpe")
        metadata.bosToken = 800
        #expect(try Tokenizer(metadata, file: "f").prefixTokens == [800])
        metadata.addsBos = false
        #expect(try Tokenizer(metadata, file: "f").prefixTokens == [])
        (metadata.addsEos, metadata.eosToken) = (true, 801)
        #expect(try Tokenizer(metadata, file: "f").suffixTokens == [801])
        metadata.eosToken = nil
        #expect(throws: TokenizerError.missingField(file: "f", field: "tokenizer.ggml.eos_token_id")) {
            try Tokenizer(metadata, file: "f")
        }
        #expect(try Tokenizer(Self.metadata("gpt2", pre: "gpt-2"), file: "f").prefixTokens == [])
    }

    @Test("is refused by the name of what is not followed")
    func refusals() throws {
        func message(_ change: (inout GGUFTokenizerMetadata) -> Void) throws -> String? {
            var metadata = try Self.metadata("gpt2", pre: "gpt-2")
            change(&metadata)
            do {
                _ = try Tokenizer(metadata, file: "model.gguf")
                return nil
            } catch {
                return error.description
            }
        }
        #expect(try message { _ in } == nil)
        for (change, start) in [
            ({ $0.model = "bert" }, "model.gguf: tokenizer.ggml.model: bert is not supported"),
            ({ $0.model = "llama" }, "model.gguf: the field \"tokenizer.ggml.scores\" is missing"),
            ({ $0.preTokenizer = nil }, "model.gguf: the field \"tokenizer.ggml.pre\" is missing"),
            ({ $0.preTokenizer = "tekken" }, "model.gguf: tokenizer.ggml.pre: \"tekken\" is not supported"),
            ({ $0.preTokenizer = "default" }, "model.gguf: tokenizer.ggml.pre: \"default\" is not supported"),
            ({ $0.merges = nil }, "model.gguf: the field \"tokenizer.ggml.merges\" is missing"),
            ({ $0.merges = ["a"] }, "model.gguf: tokenizer.ggml.merges[0]: expected two tokens"),
            (
                { $0.tokenTypes = [1] },
                "model.gguf: tokenizer.ggml.token_type: expected 900 values, one per token, found 1"
            ),
            ({ $0.scores = [] }, "model.gguf: tokenizer.ggml.scores: expected 900 values, one per token, found 0"),
            ({ $0.bosToken = -1 }, "model.gguf: tokenizer.ggml.bos_token_id: expected an id from 0 to 899, found -1"),
            ({ $0.eosToken = 900 }, "model.gguf: tokenizer.ggml.eos_token_id: expected an id from 0 to 899, found 900"),
            ({ $0.addsSpacePrefix = true }, "model.gguf: tokenizer.ggml.add_space_prefix: true"),
            ({ $0.tokens = [] }, "model.gguf: tokenizer.ggml.tokens: expected"),
        ] as [((inout GGUFTokenizerMetadata) -> Void, String)] {
            let found = try message(change) ?? "nothing"
            #expect(found.hasPrefix(start), "\(found)")
        }
        var scores = try TokenizerFixture.scores().metadata
        scores.scores?[300] = .nan
        #expect(throws: TokenizerError.self) { try Tokenizer(scores, file: "f") }
        scores.scores?[300] = -.infinity
        #expect(throws: Never.self) { try Tokenizer(scores, file: "f") }
        scores.removesExtraWhitespace = true
        #expect(throws: TokenizerError.self) { try Tokenizer(scores, file: "f") }
    }

    @Test("finds no token in text that only fills up the vocabulary")
    func padding() throws {
        var metadata = try Self.metadata("gpt2", pre: "gpt-2")
        metadata.tokens.append("[PAD900]")
        metadata.tokenTypes?.append(4)
        let tokenizer = try Tokenizer(metadata, file: "f")
        #expect(tokenizer.encode("[PAD900]").count > 1)
        #expect(tokenizer.vocabularyCount == 901)
    }

    @Test("leaves out control characters that the vocabulary lacks, and counts on without them")
    func missingControlCharacter() throws {
        var metadata = try Self.metadata("gpt2", pre: "gpt-2")
        let place = try #require(metadata.tokens.firstIndex(of: ByteLevelAlphabet.text(of: [4])))
        metadata.tokens[place] = "[none]"
        let tokenizer = try Tokenizer(metadata, file: "f")
        #expect(tokenizer.decode(tokenizer.encode("the \u{4}\u{4}river")) == "the river")
        let joined = tokenizer.encodeJoined(prompt: "the\u{4} \u{4}", completion: " river")
        #expect(tokenizer.decode(joined.tokens[joined.completionStart...]) == " river")
        #expect(!joined.completionStartsInsideToken)
    }
}
