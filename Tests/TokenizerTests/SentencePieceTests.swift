import Foundation
import TestScratch
import Testing

@testable import Tokenizer

@Suite("SentencePiece tokenizers")
struct SentencePieceTests {
    static let kinds = ["llama2", "mistral", "metaspace", "gemma"]

    @Test("give sentencepiece's own ids by their scores")
    func scores() throws {
        let fixture = try TokenizerFixture.scores()
        let tokenizer = try Tokenizer(fixture.metadata, file: "model.gguf")
        for (text, ids) in zip(fixture.texts, fixture.ids) {
            #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "of \(text.debugDescription)")
        }
        #expect(tokenizer.encode("") == [1])
        #expect(tokenizer.encode("a</s>").last == 2)
    }

    @Test("decode to the text, with a space before it where they put one", arguments: kinds)
    func decoding(kind: String) throws {
        let tokenizer = try TokenizerFixture(kind).tokenizer()
        var generator = SeededGenerator(seed: 21)
        for _ in 0..<300 {
            let text = EncodingTests.randomText(using: &generator).replacing("\u{2581}", with: "")
            let isPrefixed = !text.isEmpty && (kind == "llama2" || kind != "gemma" && !text.utf8.starts(with: [0x20]))
            let tokens = tokenizer.encode(text, addSpecialTokens: false)
            #expect(tokenizer.decode(tokens).utf8.elementsEqual((isPrefixed ? " " + text : text).utf8))
        }
    }

    @Test("show their tokens with spaces, and bytes as what they are part of")
    func tokenTexts() throws {
        let tokenizer = try TokenizerFixture("llama2").tokenizer()
        let tokens = tokenizer.encode("the river", addSpecialTokens: false)
        #expect(tokens.map(tokenizer.tokenText).joined() == " the river")
        let crab = tokenizer.encode("🦀", addSpecialTokens: false)
        #expect(tokenizer.decodeBytes(crab) == Array(" 🦀".utf8))
        #expect(crab.suffix(4).map { tokenizer.decodeBytes([$0]) } == Array("🦀".utf8).map { [$0] })
        #expect(tokenizer.tokenText(crab[1]) == "\u{FFFD}")
        #expect(tokenizer.tokenText(1) == "<s>")
    }

    @Test("say where a completion starts in tokens, not in the bytes that spaces are written with", arguments: kinds)
    func completionStart(kind: String) throws {
        let tokenizer = try TokenizerFixture(kind).tokenizer()
        let prompt = "  the river \u{1F980} had"
        for (completion, isInside) in [(" no name", false), ("🦀 no name", false)] {
            let joined = tokenizer.encodeJoined(prompt: prompt, completion: completion, addSpecialTokens: false)
            #expect(joined.tokens == tokenizer.encode(prompt + completion, addSpecialTokens: false))
            let completed = tokenizer.decode(joined.tokens[joined.completionStart...])
            #expect(completed.utf8.elementsEqual(completion.utf8))
            #expect(joined.completionStartsInsideToken == isInside)
        }
        let whole = tokenizer.encodeJoined(prompt: "", completion: "the river", addSpecialTokens: false)
        #expect(whole.completionStart == 0)
        #expect(!whole.completionStartsInsideToken)
        let inside = tokenizer.encodeJoined(prompt: "the ri", completion: "ver", addSpecialTokens: false)
        #expect(inside.completionStartsInsideToken)
    }

    @Test("give the same tokens whether or not a long text is cut where no merge reaches", arguments: kinds)
    func cutting(kind: String) throws {
        let model = BytePairModel(try TokenizerFixture(kind).tokenizer().description)
        let uncut = BytePairModel(
            merges: model.merges, symbols: model.symbols, wholeWords: model.wholeWords, borders: nil)
        #expect(model.borders != nil)
        var (scratch, other) = (BytePairModel.Scratch(), BytePairModel.Scratch())
        for seed in 1...20 as ClosedRange<UInt64> {
            let text = try TokenizerFixture.generatedText(seed: seed, length: 3_000).replacing(" ", with: "\u{2581}")
            let bytes = Array(text.utf8)
            var (tokens, expected) = ([Int32](), [Int32]())
            model.appendTokens(of: bytes.span, in: bytes.indices, scratch: &scratch, to: &tokens)
            uncut.appendTokens(of: bytes.span, in: bytes.indices, scratch: &other, to: &expected)
            #expect(tokens == expected)
        }
    }

    @Test("end on a text of a million letters without a border")
    func longWord() throws {
        let tokenizer = try TokenizerFixture("llama2").tokenizer()
        for letter in ["the", "🦀", " "] {
            let text = String(repeating: letter, count: 1_000_000 / letter.utf8.count)
            #expect(tokenizer.decode(tokenizer.encode(text, addSpecialTokens: false)) == " " + text)
        }
    }

    @Test("keep tokens apart that are the same letter in different Unicode forms")
    func canonicalEquivalents() throws {
        let file =
            #"{"a": [{"model": 1}, "}"], "model": {"merges": [], "vocab": {"\u00c5": 0, "A\u030a": 1, "\u212b": 2}}}"#
        let fields = try TokenizerFileReader.decode(TokenizerFile.self, from: Data(file.utf8), file: "tokenizer.json")
        let entries = try TokenizerLoader.entries(of: fields.model, file: "tokenizer.json")
        #expect(entries.map(\.identifier) == [0, 1, 2])
        #expect(entries.map { Array($0.token.utf8) } == [[0xC3, 0x85], [0x41, 0xCC, 0x8A], [0xE2, 0x84, 0xAB]])
        var lookup = TokenLookup(minimumCapacity: 3)
        for entry in entries { lookup.insert(entry.token, identifier: Int32(entry.identifier)) }
        #expect(lookup.count == 3)
        #expect(lookup["\u{212B}"] == 2)
    }

    @Test("need a token for every byte")
    func missingByte() throws {
        var fixture = try TokenizerFixture.scores().metadata
        let place = try #require(fixture.tokens.firstIndex(of: "<0x7F>"))
        fixture.tokens[place] = "<7F>"
        let error = #expect(throws: TokenizerError.self) { try Tokenizer(fixture, file: "model.gguf") }
        #expect(error == .missingByteSymbol(file: "model.gguf", byte: 0x7F, token: "<0x7F>"))
    }
}
