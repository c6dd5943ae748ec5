import Files
import Foundation
import Testing

@testable import Tokenizer

@Suite("A tokenizer's ids")
struct ReferenceIdentifierTests {
    @Test("are those of Hugging Face tokenizers", arguments: TokenizerFixture.kinds)
    func identifiers(kind: String) throws {
        let fixture = TokenizerFixture(kind)
        let tokenizer = try fixture.tokenizer()
        for (text, expected) in zip(try TokenizerFixture.texts(), try fixture.expected().ids) {
            #expect(tokenizer.encode(text, addSpecialTokens: false) == expected, "of \(text.debugDescription)")
        }
    }

    @Test("are those of Hugging Face tokenizers on long text", arguments: TokenizerFixture.kinds, [1, 2])
    func longText(kind: String, seed: Int) throws {
        let fixture = TokenizerFixture(kind)
        let expected = try #require(try fixture.expected().generated["\(seed)"])
        let text = try TokenizerFixture.generatedText(seed: UInt64(seed), length: 200_000)
        let tokens = try fixture.tokenizer().encode(text, addSpecialTokens: false)
        #expect(tokens.count == expected.count)
        var digest = ContentDigest()
        digest.update(tokens.flatMap { token in (0..<4).map { UInt8(truncatingIfNeeded: token >> (8 * $0)) } })
        #expect(digest.hexadecimal == expected.sha256)
    }

    @Test("have the special tokens around them that the files ask for", arguments: TokenizerFixture.kinds)
    func specialTokens(kind: String) throws {
        let fixture = TokenizerFixture(kind)
        let text = try TokenizerFixture.texts()[0]
        #expect(try fixture.tokenizer().encode(text) == fixture.expected().withSpecialTokens)
    }

    @Test("decode to the text that Hugging Face tokenizers decodes them to", arguments: TokenizerFixture.kinds)
    func decoding(kind: String) throws {
        let fixture = TokenizerFixture(kind)
        let tokenizer = try fixture.tokenizer()
        let expected = try fixture.expected()
        // An added token with a letter such as é is decoded there as if it were written in the byte-level alphabet.
        let garbled = tokenizer.addedToken("café")
        for (tokens, text) in zip(expected.ids, expected.decoded) where !tokens.contains(where: { $0 == garbled }) {
            #expect(tokenizer.decode(tokens).utf8.elementsEqual(text.utf8), "of \(tokens)")
        }
    }
}
