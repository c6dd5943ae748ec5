import Foundation
import TestScratch
import Testing

@testable import Tokenizer

@Suite("Encoding")
struct EncodingTests {
    /// Kinds that change nothing of a text.
    static let exactKinds = ["gpt2", "llama3", "smollm", "digit-runs"]

    @Test("decodes back to any text, byte for byte", arguments: exactKinds)
    func roundTrip(kind: String) throws {
        let tokenizer = try TokenizerFixture(kind).tokenizer()
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<400 {
            let text = Self.randomText(using: &generator)
            let tokens = tokenizer.encode(text, addSpecialTokens: false)
            #expect(tokenizer.decode(tokens).utf8.elementsEqual(text.utf8), "of \(Array(text.unicodeScalars))")
            #expect(tokens.map(tokenizer.decodeBytesOfOne).flatMap { $0 } == Array(text.utf8))
        }
    }

    @Test("of an empty text is the special tokens alone")
    func emptyText() throws {
        #expect(try TokenizerFixture("gpt2").tokenizer().encode("") == [])
        let llama = try TokenizerFixture("llama3").tokenizer()
        #expect(llama.encode("") == llama.prefixTokens)
        #expect(llama.prefixTokens == [800])
        #expect(try TokenizerFixture("prefix-space").tokenizer().encode("") == [0, 701])
    }

    @Test("puts BOS in front once, also where the text spells it out")
    func bosOnce() throws {
        let tokenizer = try TokenizerFixture("llama3").tokenizer()
        let bos = try #require(tokenizer.bosToken)
        let tokens = tokenizer.encode("the river")
        #expect(tokens.first == bos)
        #expect(tokenizer.encode("<s>the river") == tokens)
        #expect(tokenizer.encode("<s><s>the river") == [bos] + tokens)
        #expect(tokenizer.encode("the river", addSpecialTokens: false) == Array(tokens.dropFirst()))
        #expect(tokenizer.encode(" <s>the river").starts(with: [bos, bos]) == false)
    }

    @Test("names BOS and EOS as tokenizer_config.json does")
    func namedSpecialTokens() throws {
        try withTokenizerFolder { folder in
            let source = TokenizerFixture("gpt2").folder.appendingPathComponent("tokenizer.json")
            try FileManager.default.copyItem(at: source, to: folder.appendingPathComponent("tokenizer.json"))
            func tokenizer(_ configuration: String) throws -> Tokenizer {
                try Data(configuration.utf8).write(to: folder.appendingPathComponent("tokenizer_config.json"))
                return try Tokenizer(contentsOf: folder)
            }
            let plain = try tokenizer(
                #"{"bos_token": "<|endoftext|>", "eos_token": {"content": "the", "lstrip": true}}"#)
            #expect(plain.prefixTokens == [])
            #expect(plain.bosToken == 0)
            #expect(plain.eosToken.map(plain.tokenText) == "the")
            let unnamed = try tokenizer(#"{"add_bos_token": false, "bos_token": null}"#)
            #expect(unnamed.bosToken == nil)
        }
    }

    @Test("gives the same ids on many threads at once")
    func threads() async throws {
        let tokenizer = try TokenizerFixture("llama3").tokenizer()
        let texts = try (1...24).map { try TokenizerFixture.generatedText(seed: UInt64(100 + $0), length: 4_000) }
        let alone = texts.map { tokenizer.encode($0) }
        let together = await withTaskGroup(of: (Int, [Int32]).self) { group in
            for (index, text) in texts.enumerated() { group.addTask { (index, tokenizer.encode(text)) } }
            return await group.reduce(into: [[Int32]](repeating: [], count: texts.count)) { $0[$1.0] = $1.1 }
        }
        #expect(together == alone)
    }

    @Test("gives the same ids when the words kept from before were dropped")
    func cacheOverflow() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        let text = try TokenizerFixture.texts()[0]
        let before = tokenizer.encode(text)
        // Words of 100 letters that are all different: more bytes than are kept.
        var generator = SeededGenerator(seed: 3)
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        for _ in 0..<8 {
            let words = (0..<2_000).map { _ in
                String((0..<100).map { _ in letters[Int(generator.next() % 26)] })
            }
            let joined = words.joined(separator: " ")
            #expect(tokenizer.decode(tokenizer.encode(joined)) == joined)
        }
        #expect(tokenizer.encode(text) == before)
    }

    @Test("decodes what is no token to nothing, and half a character to U+FFFD")
    func oddTokens() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        #expect(tokenizer.decode([-1, Int32.max, Int32(tokenizer.vocabularyCount)]) == "")
        let bytes = tokenizer.encode("\u{10FFFF}")
        #expect(bytes.count == 4)
        #expect(tokenizer.decode(bytes) == "\u{10FFFF}")
        #expect(tokenizer.tokenText(bytes[0]) == "\u{FFFD}")
        #expect(tokenizer.decodeBytes(bytes[..<2]) == [0xF4, 0x8F])
    }

    @Test("decodes a byte's symbol to the byte, also where it was added as a token")
    func addedByteSymbol() throws {
        var description = try TokenizerFixture("gpt2").tokenizer().description
        // Written é in the byte-level alphabet: the first byte of many characters.
        let symbol = try #require(description.vocabulary.firstIndex(of: "é"))
        description.addedTokens.append(AddedToken(identifier: Int32(symbol), content: "é"))
        let tokenizer = Tokenizer(description)
        #expect(tokenizer.encode("é") == [Int32(symbol)])
        #expect(tokenizer.decode(tokenizer.encode("\u{9879}")) == "\u{9879}")
    }

    @Test("names its special tokens by their text")
    func addedTokens() throws {
        let tokenizer = try TokenizerFixture("qwen2").tokenizer()
        #expect(tokenizer.addedToken("<|endoftext|>") == 0)
        #expect(tokenizer.addedToken("café").map(tokenizer.tokenText) == "café")
        #expect(tokenizer.addedToken("river") == nil)
    }

    /// Characters of all lengths in UTF-8, words, and white space.
    static func randomText(using generator: inout SeededGenerator) -> String {
        var text = ""
        for _ in 0..<generator.next() % 60 {
            let limits: [UInt64] = [0x80, 0x80, 0x800, 0x10000, 0x110000]
            let value = UInt32(generator.next() % limits[Int(generator.next() % 5)])
            if let scalar = Unicode.Scalar(value) { text.unicodeScalars.append(scalar) }
            let extras = [" ", "  ", "\n", " the", "'s", "123", "é", "", ""]
            text += extras[Int(generator.next() % UInt64(extras.count))]
        }
        return text
    }
}

extension Tokenizer {
    fileprivate func decodeBytesOfOne(_ token: Int32) -> [UInt8] { decodeBytes([token]) }
}
