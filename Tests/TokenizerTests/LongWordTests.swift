import TestScratch
import Testing

@testable import Tokenizer

@Suite("Long words")
struct LongWordTests {
    @Test(
        "have the tokens that merging them at once gives, in whatever chunks they are merged",
        arguments: ["gpt2", "qwen2", "smollm", "llama2", "gemma"])
    func chunks(kind: String) throws {
        let model = BytePairModel(try TokenizerFixture(kind).tokenizer().description)
        var generator = SeededGenerator(seed: 21)
        var failures = 0
        // Of two letters, whose order alone decides; of text; and of characters of several bytes.
        let alphabets = ["a", "ab", "aeinrst the", "歪e\u{301}r\u{1F600}", "the river had no name"].map(Array.init)
        for alphabet in alphabets {
            for _ in 0..<60 {
                let length = Int(generator.next() % 400)
                let word = String((0..<length).map { _ in alphabet[Int(generator.next() % UInt64(alphabet.count))] })
                let bytes = Array(word.utf8)
                var whole = PairMerger()
                whole.start { model.symbols.append(bytes.span, in: bytes.indices, to: &$0) }
                whole.merge(by: model.merges)
                for (chunk, overlap) in [(8, 2), (16, 8), (64, 16)] {
                    var merger = LongWordMerger(chunkLength: chunk, overlap: overlap)
                    var tokens: [Int32] = [-7]
                    merger.appendTokens(of: bytes.span, in: bytes.indices, by: model, to: &tokens)
                    #expect(tokens == [-7] + whole.symbols, "of \(word) in chunks of \(chunk)")
                    failures += merger.failures
                }
            }
        }
        // Chunks as short as a few tokens do not always hold; that all is then merged at once is tried as well.
        #expect(failures > 0)
    }

    @Test("have them where a merge far to the right decides the first one")
    func distantDecision() {
        // 0 1, 1 2, 2 3, ... are joined the sooner the higher they are, so that the last pair decides about the first.
        let count: Int32 = 200
        let merges = MergeTable(
            (0..<count - 1).reversed().map { Merge(left: $0, right: $0 + 1, merged: count + $0) })
        let model = BytePairModel(
            merges: merges, symbols: .bytes((0..<256).map { $0 < count ? Int32($0) : -1 }), wholeWords: nil,
            borders: nil)
        for length in [150, 151] {
            let word = (0..<UInt8(length)).map { $0 }
            var merger = LongWordMerger(chunkLength: 32, overlap: 8)
            var tokens: [Int32] = []
            merger.appendTokens(of: word.span, in: word.indices, by: model, to: &tokens)
            #expect(tokens == PairMergerTests.reference(word, model))
            #expect(tokens.first == (length == 150 ? count : 0))
        }
    }

    @Test("are merged in chunks that hold, at their full length")
    func fullLength() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        let model = BytePairModel(tokenizer.description)
        for letters in ["a", "river", "therivrehada"] {
            let word = Array(String(repeating: letters, count: 40_000 / letters.utf8.count).utf8)
            var merger = LongWordMerger()
            var tokens: [Int32] = []
            merger.appendTokens(of: word.span, in: word.indices, by: model, to: &tokens)
            #expect(merger.failures == 0)
            #expect(tokenizer.encode(String(decoding: word, as: UTF8.self)) == tokens)
            #expect(tokenizer.decodeBytes(tokens) == word)
        }
    }
}
