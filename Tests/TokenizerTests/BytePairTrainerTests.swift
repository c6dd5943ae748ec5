import Foundation
import Testing

@testable import Tokenizer

@Suite("Training a tokenizer")
struct BytePairTrainerTests {
    struct Reference: Decodable {
        let texts: Int
        let vocab: [String]
        let merges: [[String]]
    }

    @Test("gives the vocabulary and merges that Hugging Face tokenizers gives")
    func equalsReference() throws {
        let reference = try TokenizerFixture.trainedReference(Reference.self)
        let texts = try TokenizerFixture.texts().prefix(reference.texts)
        let description = try BytePairTrainer(vocabularyCount: 700, specialTokens: ["<|endoftext|>", "<|pad|>"])
            .train(on: texts).description
        #expect(description.vocabulary == reference.vocab)
        let merges = description.merges.map { merge in
            [merge.left, merge.right].map { description.vocabulary[Int($0)] ?? "" }
        }
        #expect(merges == reference.merges)
    }

    @Test("stops at the size asked for, and starts with special tokens and bytes")
    func size() throws {
        let texts = try TokenizerFixture.texts()
        let tokenizer = try BytePairTrainer(vocabularyCount: 300).train(on: texts)
        #expect(tokenizer.vocabularyCount == 300)
        #expect(tokenizer.description.merges.count == 300 - 257)
        #expect(tokenizer.bosToken == 0)
        #expect(tokenizer.eosToken == 0)
        #expect(tokenizer.prefixTokens == [])
        #expect(tokenizer.tokenText(0) == "<|endoftext|>")
        #expect(tokenizer.tokenText(1) == "!")
        #expect(Set((1...256).map { tokenizer.decodeBytes([$0]) }).count == 256)
    }

    @Test("merges the most frequent pair first, and of equals the one with lower ids")
    func order() throws {
        // Without special tokens the ids are in order of the characters: d < x < y < z.
        let trainer = BytePairTrainer(vocabularyCount: 259, specialTokens: [], minimumFrequency: 1)
        let description = try trainer.train(on: ["yd\nzd\nxx\nzd\nyd\nxx\ndy\ndy\ndy"]).description
        #expect(description.merges.map { description.vocabulary[Int($0.merged)] } == ["dy", "xx", "yd"])
    }

    @Test("leaves rare pairs alone")
    func minimumFrequency() throws {
        let none = try BytePairTrainer(vocabularyCount: 300, minimumFrequency: 2).train(on: ["abcdef"])
        #expect(none.vocabularyCount == 257)
        let all = try BytePairTrainer(vocabularyCount: 300, minimumFrequency: 1).train(on: ["abcdef"])
        #expect(all.encode("abcdef").count == 1)
        #expect(try BytePairTrainer(vocabularyCount: 300).train(on: []).vocabularyCount == 257)
    }

    @Test("leaves special tokens out that the texts spell out")
    func specialTokensInText() throws {
        let plain = try BytePairTrainer(vocabularyCount: 400).train(on: ["the river", "the mill the river"])
        let marked = try BytePairTrainer(vocabularyCount: 400)
            .train(on: ["<|endoftext|>the river<|endoftext|>", "the mill the river<|endoftext|><|endoftext|>"])
        #expect(marked.description == plain.description)
    }

    @Test("refuses a vocabulary without room for the bytes, and special tokens that are none")
    func refusals() {
        #expect(throws: TokenizerError.vocabularyTooSmall(requested: 256, minimum: 257)) {
            try BytePairTrainer(vocabularyCount: 256).train(on: ["a"])
        }
        for tokens in [["a"], ["é"], [""], ["<s>", "<s>"]] {
            #expect(throws: TokenizerError.ambiguousSpecialToken(tokens[0])) {
                try BytePairTrainer(vocabularyCount: 300, specialTokens: tokens).train(on: ["a"])
            }
        }
    }

    @Test("gives a tokenizer that is the same after writing and reading")
    func writing() throws {
        let texts = try TokenizerFixture.texts()
        let trained = try BytePairTrainer(vocabularyCount: 500).train(on: texts)
        try withTokenizerFolder { folder in
            try trained.write(to: folder)
            let read = try Tokenizer(contentsOf: folder)
            #expect(read.description == trained.description)
            #expect(read.digest == trained.digest)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 2)
        }
    }
}
