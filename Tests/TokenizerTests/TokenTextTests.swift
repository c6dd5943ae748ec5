import TestScratch
import Testing

@testable import Tokenizer

@Suite("The texts of tokens")
struct TokenTextTests {
    @Test("show a character that is spread over several tokens with the last of them")
    func spread() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        let tokens = tokenizer.encode("\u{10FFFF}a")
        #expect(tokens.count == 5)
        #expect(tokenizer.tokenTexts(tokens) == ["", "", "", "\u{10FFFF}", "a"])
        #expect(tokenizer.tokenTexts([]) == [])
    }

    @Test("leave a real U+FFFD where it is")
    func replacementCharacter() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        for text in ["\u{FFFD}", "a\u{FFFD}b", "\u{FFFD}\u{FFFD} the \u{FFFD}", "the\u{FFFD} \u{1F600}"] {
            let tokens = tokenizer.encode(text)
            let texts = tokenizer.tokenTexts(tokens)
            #expect(texts.joined().utf8.elementsEqual(text.utf8))
            // Each one is shown with the token that holds its last byte.
            var bytes: [UInt8] = []
            var shown = 0
            for (token, tokenText) in zip(tokens, texts) {
                bytes += tokenizer.decodeBytes([token])
                shown += tokenText.utf8.count
                #expect(bytes.count - shown < 4)
                #expect(bytes.count == shown || String(validating: bytes, as: UTF8.self) == nil)
            }
        }
        var description = tokenizer.description
        let whole = Int32(description.identifierCount)
        description.addedTokens.append(AddedToken(identifier: whole, content: "\u{FFFD}"))
        let tokens = Tokenizer(description).encode("\u{FFFD}a")
        #expect(tokens.first == whole && tokens.count == 2)
        #expect(Tokenizer(description).tokenTexts(tokens) == ["\u{FFFD}", "a"])
    }

    @Test("join to what decoding makes of all, wherever a text is cut", arguments: TokenizerFixture.kinds)
    func join(kind: String) throws {
        let tokenizer = try TokenizerFixture(kind).tokenizer()
        var generator = SeededGenerator(seed: 5)
        let texts =
            ["a\u{1F600}\u{1F600}\u{1F600}", "歪歪歪歪歪", "x\u{E9}\u{E9}\u{E9}", "\u{FFFD}a\u{FFFD}\u{10FFFF}"]
            + (0..<40).map { _ in EncodingTests.randomText(using: &generator) }
        for text in texts {
            let tokens = tokenizer.encode(text)
            for start in 0...min(tokens.count, 9) {
                for end in max(start, tokens.count - 9)...max(start, tokens.count) {
                    let piece = Array(tokens[start..<max(start, min(end, tokens.count))])
                    let texts = tokenizer.tokenTexts(piece)
                    #expect(texts.count == piece.count)
                    #expect(texts.joined().utf8.elementsEqual(tokenizer.decode(piece).utf8), "of \(piece)")
                }
            }
        }
    }

    @Test("join to what decoding makes of any bytes")
    func anyBytes() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        guard case .bytes(let byteTokens) = BytePairModel(tokenizer.description).symbols else { return }
        // Starts, ends and near misses of characters of each length.
        let bytes: [UInt8] = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0,
            0xF3,
            0xF4, 0xF5, 0xFF,
        ]
        var generator = SeededGenerator(seed: 9)
        for _ in 0..<1_000 {
            let tokens = (0..<generator.next() % 9).map { _ in
                byteTokens[Int(bytes[Int(generator.next() % UInt64(bytes.count))])]
            }
            #expect(
                tokenizer.tokenTexts(tokens).joined().utf8.elementsEqual(tokenizer.decode(tokens).utf8),
                "of \(tokenizer.decodeBytes(tokens))")
        }
    }
}
