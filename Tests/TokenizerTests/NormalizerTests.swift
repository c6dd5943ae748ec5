import Testing

@testable import Tokenizer

@Suite("Form C")
struct NormalizerTests {
    static func composed(_ text: String) -> String {
        Normalizer.nfc.normalized(text.utf8Span.span).map { String(decoding: $0, as: UTF8.self) } ?? text
    }

    @Test(
        "composes as the standard says",
        arguments: [
            ("e\u{301}", "\u{E9}"),
            ("\u{212B}", "\u{C5}"),
            ("a\u{301}\u{323}", "\u{1EA1}\u{301}"),
            ("s\u{307}\u{323}", "\u{1E69}"),
            ("x\u{315}\u{300}\u{5AE}b", "x\u{5AE}\u{300}\u{315}b"),
            ("\u{958}", "\u{915}\u{93C}"),
            ("\u{344}", "\u{308}\u{301}"),
            ("\u{1100}\u{1161}\u{11A8}", "\u{AC01}"),
            ("\u{AC00}\u{11A8}", "\u{AC01}"),
            ("\u{AC01}\u{11A8}", "\u{AC01}\u{11A8}"),
            ("\u{1100}\u{1176}", "\u{1100}\u{1176}"),
            ("\u{301}e", "\u{301}e"),
            ("\u{F900}", "\u{8C48}"),
            ("\u{1D15E}", "\u{1D157}\u{1D165}"),
            ("\u{1109A}\u{1109}", "\u{1109A}\u{1109}"),
            ("\u{11099}\u{110BA}", "\u{1109A}"),
            ("か\u{3099}", "が"),
        ])
    func composes(text: String, expected: String) {
        #expect(Self.composed(text).unicodeScalars.elementsEqual(expected.unicodeScalars))
        let around = Self.composed("ab \(text).")
        #expect(around.unicodeScalars.elementsEqual("ab \(expected).".unicodeScalars))
    }

    @Test("knows nothing of characters newer than Unicode 9")
    func edition() {
        // U+11935 and U+11930 compose to U+11938 since Unicode 13.
        #expect(Self.composed("\u{11935}\u{11930}").unicodeScalars.count == 2)
    }

    @Test(
        "leaves alone what is composed already", arguments: ["", "plain", "naïve café", "川に", "각강", "😀👩‍👧", "\u{0}", "ộ"])
    func unchanged(text: String) {
        #expect(Normalizer.nfc.normalized(text.utf8Span.span) == nil)
        #expect(Normalizer.none.normalized("e\u{301}".utf8Span.span) == nil)
    }

    @Test("ends on a letter with half a million marks in the wrong order")
    func manyMarks() {
        // Of classes 230 and 220: the latter come first.
        let text = "a" + String(repeating: "\u{301}\u{323}", count: 250_000)
        let composed = Normalizer.nfc.normalized(text.utf8Span.span)
        #expect(composed?.count == 1_000_001)
        #expect(composed?.starts(with: "\u{1EA1}\u{323}".utf8) == true)
    }

    @Test("of other steps puts strings before text and in place of others")
    func steps() {
        func normalized(_ text: String, _ steps: [Normalizer.Step]) -> String? {
            Normalizer(steps: steps).normalized(text.utf8Span.span).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(normalized("a b", [.prepend("_"), .replace(" ", by: "__")]) == "_a__b")
        #expect(normalized("", [.prepend("_")]) == nil)
        #expect(normalized("aaa", [.replace("aa", by: "b")]) == "ba")
        #expect(normalized("ab", [.replace("c", by: "d")]) == nil)
        #expect(normalized("e\u{301} ", [.replace(" ", by: ""), .nfc])?.utf8.elementsEqual("\u{e9}".utf8) == true)
    }
}
