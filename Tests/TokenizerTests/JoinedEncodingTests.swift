import Foundation
import Testing

@testable import Tokenizer

@Suite("A prompt and its completion")
struct JoinedEncodingTests {
    @Test(
        "are encoded as one text, cut at the first token with a byte of the completion",
        arguments: TokenizerFixture.kinds)
    func everyCut(kind: String) throws {
        let tokenizer = try TokenizerFixture(kind).tokenizer()
        for text in try TokenizerFixture.texts() where (1..<200).contains(text.utf8.count) {
            let whole = tokenizer.encode(text, addSpecialTokens: false)
            for cut in text.unicodeScalars.indices {
                let (prompt, completion) = (String(text[..<cut]), String(text[cut...]))
                let joined = tokenizer.encodeJoined(prompt: prompt, completion: completion, addSpecialTokens: false)
                #expect(joined.tokens == whole)
                guard (EncodingTests.exactKinds + ["gemma"]).contains(kind) else { continue }
                let before = tokenizer.decodeBytes(joined.tokens[..<joined.completionStart]).count
                let first = tokenizer.decodeBytes([whole[joined.completionStart]]).count
                #expect(before <= prompt.utf8.count && prompt.utf8.count < before + first)
                #expect(joined.completionStartsInsideToken == (before < prompt.utf8.count))
            }
        }
    }

    @Test("are cut at a border of words without a shared token")
    func cleanBorder() throws {
        let tokenizer = try TokenizerFixture("llama3").tokenizer()
        let joined = tokenizer.encodeJoined(prompt: "the river", completion: " had no name")
        let prompt = tokenizer.encode("the river")
        #expect(joined.completionStart == prompt.count)
        #expect(joined.tokens == prompt + tokenizer.encode(" had no name", addSpecialTokens: false))
        #expect(!joined.completionStartsInsideToken)
    }

    @Test("share a token where the completion goes on with a word")
    func insideToken() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        let joined = tokenizer.encodeJoined(prompt: "to t", completion: "he sea")
        #expect(joined.tokens == tokenizer.encode("to the sea"))
        #expect(tokenizer.tokenText(joined.tokens[joined.completionStart]) == " the")
        #expect(joined.completionStartsInsideToken)
    }

    @Test("share a special token that they spell together")
    func insideSpecialToken() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        let joined = tokenizer.encodeJoined(prompt: "a<|endof", completion: "text|>b")
        #expect(joined.tokens.count == 3)
        #expect(joined.completionStart == 1)
        #expect(joined.completionStartsInsideToken)
        let apart = tokenizer.encodeJoined(prompt: "a", completion: "<|endoftext|>")
        #expect(apart.completionStart == 1)
        #expect(!apart.completionStartsInsideToken)
    }

    @Test("may be empty")
    func empty() throws {
        let tokenizer = try TokenizerFixture("llama3").tokenizer()
        let withoutCompletion = tokenizer.encodeJoined(prompt: "the", completion: "")
        #expect(withoutCompletion.completionStart == withoutCompletion.tokens.count)
        #expect(!withoutCompletion.completionStartsInsideToken)
        let withoutPrompt = tokenizer.encodeJoined(prompt: "", completion: "the")
        #expect(withoutPrompt.tokens == tokenizer.encode("the"))
        #expect(withoutPrompt.completionStart == 1)
        #expect(!withoutPrompt.completionStartsInsideToken)
        let neither = tokenizer.encodeJoined(prompt: "", completion: "")
        #expect(neither.tokens == tokenizer.prefixTokens)
        #expect(neither.completionStart == 1)
    }

    @Test("have no end-of-text token behind them, and one BOS before")
    func specialTokens() throws {
        let closing = try TokenizerFixture("prefix-space").tokenizer()
        #expect(closing.suffixTokens == [701])
        #expect(closing.encodeJoined(prompt: "a", completion: "b").tokens.last != 701)
        let llama = try TokenizerFixture("llama3").tokenizer()
        let spelled = llama.encodeJoined(prompt: "<s>the", completion: " river")
        let plain = llama.encodeJoined(prompt: "the", completion: " river")
        #expect(spelled.tokens == plain.tokens)
        #expect(spelled.completionStart == plain.completionStart)
    }

    @Test("share a token where the completion changes the form of the prompt's last character")
    func composition() throws {
        let tokenizer = try TokenizerFixture("gpt-neox").tokenizer()
        let joined = tokenizer.encodeJoined(prompt: "caf e", completion: "\u{301} x")
        #expect(joined.tokens == tokenizer.encode("caf é x"))
        #expect(tokenizer.decode(joined.tokens[joined.completionStart...]).hasSuffix("é x"))
        #expect(joined.completionStartsInsideToken)
        // Composed on the prompt's side alone: the border stays clean, though it moves.
        let moved = tokenizer.encodeJoined(prompt: "cafe\u{301}", completion: " x")
        #expect(tokenizer.decode(moved.tokens[moved.completionStart...]) == " x")
        #expect(!moved.completionStartsInsideToken)
    }

    @Test("are cut where the completion's words start when spaces were put in")
    func prefixSpaces() throws {
        let tokenizer = try TokenizerFixture("prefix-space-each").tokenizer()
        for (prompt, completion) in [("river", "-bed"), ("two", " feet"), ("a.", "b.c"), ("1", "a")] {
            let joined = tokenizer.encodeJoined(prompt: prompt, completion: completion)
            let rest = tokenizer.decode(joined.tokens[joined.completionStart...])
            #expect(rest.filter { $0 != " " } == completion.filter { $0 != " " }, "of \(prompt)|\(completion)")
            #expect(!joined.completionStartsInsideToken)
        }
        let inside = tokenizer.encodeJoined(prompt: "x.th", completion: "e")
        #expect(tokenizer.tokenText(inside.tokens[inside.completionStart]) == " the")
        #expect(inside.completionStartsInsideToken)
    }
}
