import Testing

@testable import Tokenizer

@Suite("Added tokens")
struct AddedTokenTests {
    static func found(_ tokens: [AddedToken], in text: String) -> [String] {
        let matcher = AddedTokenMatcher(tokens, contents: tokens.map { Array($0.content.utf8) })
        let bytes = Array(text.utf8)
        var found: [String] = []
        var cursor = AddedTokenMatcher.Cursor()
        while let segment = matcher.next(&cursor, in: bytes.span) {
            let piece = String(decoding: bytes[segment.range], as: UTF8.self)
            found.append(segment.identifier.map { "\($0):\(piece)" } ?? piece)
        }
        return found
    }

    @Test("are found leftmost, and the longest of those that start there")
    func longest() {
        let tokens = ["ab", "abcd", "bc", "d"].enumerated().map { AddedToken(identifier: Int32($0), content: $1) }
        #expect(Self.found(tokens, in: "xabcdx") == ["x", "1:abcd", "x"])
        #expect(Self.found(tokens, in: "abcx") == ["0:ab", "cx"])
        #expect(Self.found(tokens, in: "abcabcd") == ["0:ab", "c", "1:abcd"])
        #expect(Self.found(tokens, in: "") == [])
        #expect(Self.found([], in: "abc") == ["abc"])
    }

    @Test("take the white space beside them along where they strip")
    func strips() {
        let left = AddedToken(identifier: 1, content: "L", stripsLeft: true)
        let right = AddedToken(identifier: 2, content: "R", stripsRight: true)
        #expect(Self.found([left, right], in: "a \u{A0}\nL b R \t c") == ["a", "1: \u{A0}\nL", " b ", "2:R \t ", "c"])
        #expect(Self.found([left, right], in: "R L") == ["2:R ", "1:L"])
    }

    @Test("may be white space themselves, and strip all the same")
    func whiteSpace() {
        let space = AddedToken(identifier: 1, content: " ", stripsLeft: true, stripsRight: true)
        #expect(Self.found([space], in: "a    b") == ["a", "1:    ", "b"])
        let tail = AddedToken(identifier: 2, content: "R", stripsRight: true)
        #expect(Self.found([space, tail], in: "R   b").first == "2:R   ")
    }

    @Test("count as single words only where no word character touches them")
    func singleWord() {
        let token = AddedToken(identifier: 1, content: "WORD", isSingleWord: true)
        #expect(Self.found([token], in: "WORD a-WORD.") == ["1:WORD", " a-", "1:WORD", "."])
        for text in ["WORDS", "éWORD", "WORD\u{301}", "WORD_", "٣WORD"] {
            #expect(Self.found([token], in: text) == [text])
        }
    }
}
