import Testing

@testable import Tokenizer

@Suite("Words")
struct PreTokenizerTests {
    static func words(
        _ text: String, _ stages: [PreTokenizer.Stage], batchSize: Int = PreTokenizer.batchSize
    ) -> [String] {
        words(text, PreTokenizer(stages: stages), batchSize: batchSize)
    }

    static func words(_ text: String, _ preTokenizer: PreTokenizer, batchSize: Int) -> [String] {
        var words = PreTokenizer.Words()
        let text = Array(text.utf8)
        var found: [String] = []
        preTokenizer.start(&words, on: text.span, batchSize: batchSize)
        while preTokenizer.next(&words, of: text.span) {
            let source = words.spacedText ?? text
            found += zip([words.start] + words.ends, words.ends).map {
                String(decoding: source[$0..<$1], as: UTF8.self)
            }
        }
        return found
    }

    @Test("are the same however many are found at a time", arguments: [1, 2, 7])
    func batches(size: Int) throws {
        let dash: (LiteralSplit.Behavior) -> PreTokenizer.Stage = {
            .literal(LiteralSplit(pattern: "e", behavior: $0))
        }
        let spaces = PreTokenizer.Stage.byteLevel(addsPrefixSpace: true, splits: false)
        let preTokenizers =
            ([
                [], Self.gpt2, [.split(.llama3)], [.split(.qwen2), spaces], [.digits(individually: true)] + Self.gpt2,
                [.digits(individually: false)] + Self.gpt2, [.byteLevel(addsPrefixSpace: true, splits: true)],
                [.split(.llama3), .byteLevel(addsPrefixSpace: true, splits: true)],
            ]
            + [.isolated, .mergedWithPrevious, .mergedWithNext, .contiguous].flatMap {
                [[dash($0)], [dash($0)] + Self.gpt2]
            })
            .map { PreTokenizer(stages: $0) }
            + [PreTokenizer(metaspace: Metaspace(replacement: "e", prefix: .never, startsWords: true), stages: [])]
        let texts = try TokenizerFixture.texts() + [String(repeating: "ee1 2e  \n 33e", count: 9)]
        for preTokenizer in preTokenizers {
            for text in texts {
                #expect(
                    Self.words(text, preTokenizer, batchSize: size)
                        == Self.words(text, preTokenizer, batchSize: .max), "of \(text.debugDescription)")
            }
        }
    }

    static let gpt2: [PreTokenizer.Stage] = [.byteLevel(addsPrefixSpace: false, splits: true)]

    @Test("of GPT-2 keep one space in front, and end before the last of several")
    func gpt2Spaces() {
        #expect(Self.words("a  b\n\n c  ", Self.gpt2) == ["a", " ", " b", "\n\n", " c", "  "])
        #expect(Self.words("\u{3000}x\u{3000}\u{3000}y", Self.gpt2) == ["\u{3000}", "x", "\u{3000}", "\u{3000}", "y"])
    }

    @Test("of GPT-2 end at contractions in lower case only")
    func gpt2Contractions() {
        #expect(Self.words("we'll've 'S's'", Self.gpt2) == ["we", "'ll", "'ve", " '", "S", "'s", "'"])
    }

    @Test("of Llama 3 have at most three digits, and end after line breaks")
    func llama3() {
        let stages: [PreTokenizer.Stage] = [.split(.llama3), .byteLevel(addsPrefixSpace: false, splits: false)]
        #expect(Self.words("12345 67", stages) == ["123", "45", " ", "67"])
        #expect(Self.words("a \n \n b!\r\nc", stages) == ["a", " \n \n", " b", "!\r\n", "c"])
        #expect(Self.words("I'LL'ſ\tx(y", stages) == ["I", "'LL", "'ſ", "\tx", "(y"])
    }

    @Test("of Qwen 2 have one digit")
    func qwen2() {
        let stages: [PreTokenizer.Stage] = [.split(.qwen2), .byteLevel(addsPrefixSpace: false, splits: false)]
        #expect(Self.words("a12", stages) == ["a", "1", "2"])
    }

    @Test("are set apart from digits, one by one or in runs")
    func digits() {
        #expect(
            Self.words("a12b½ 3", [.digits(individually: true)] + Self.gpt2) == ["a", "1", "2", "b", "½", " ", "3"])
        #expect(Self.words("a12b½ 3", [.digits(individually: false)] + Self.gpt2) == ["a", "12", "b", "½", " ", "3"])
    }

    @Test("get a space in front where they have none")
    func prefixSpace() {
        let stages: [PreTokenizer.Stage] = [.byteLevel(addsPrefixSpace: true, splits: true)]
        #expect(Self.words("a b", stages) == [" a", " b"])
        #expect(Self.words(" a b", stages) == [" a", " b"])
        #expect(Self.words("\na", stages) == [" ", "\n", "a"])
    }

    @Test("know characters by the Unicode edition of Hugging Face tokenizers")
    func unicodeEdition() {
        let classes = CharacterClasses.shared
        func flags(_ text: String) -> UInt8 { classes.at(0, in: Array(text.utf8).span).flags }
        #expect(flags("é") & CharacterClasses.Kind.mask == CharacterClasses.Kind.letter)
        #expect(flags("\u{1C89}") & CharacterClasses.Kind.mask == CharacterClasses.Kind.letter)  // Unicode 16
        #expect(flags("\u{88F}") & CharacterClasses.Kind.mask == CharacterClasses.Kind.other)  // Unicode 17
        #expect(flags("\u{11DE1}") == CharacterClasses.digit)  // Unicode 17
        #expect(flags("\u{0301}") == CharacterClasses.word)
    }
}

@Suite("Cutting at a string")
struct LiteralSplitTests {
    static func words(_ text: String, _ pattern: String, _ behavior: LiteralSplit.Behavior) -> [String] {
        let bytes = Array("(\(text))".utf8)
        var ends: [Int] = []
        let range = 1..<bytes.count - 1
        _ = LiteralSplit(pattern: pattern, behavior: behavior).appendWordEnds(of: bytes.span, in: range, to: &ends)
        return zip([range.lowerBound] + ends, ends).map { String(decoding: bytes[$0..<$1], as: UTF8.self) }
    }

    @Test("joins the string with its neighbours as asked")
    func behaviors() {
        #expect(Self.words("a--b-c", "-", .isolated) == ["a", "-", "-", "b", "-", "c"])
        #expect(Self.words("a--b-c", "-", .mergedWithPrevious) == ["a-", "-", "b-", "c"])
        #expect(Self.words("a--b-c", "-", .mergedWithNext) == ["a", "-", "-b", "-c"])
        #expect(Self.words("a--b-c", "-", .contiguous) == ["a", "--", "b", "-", "c"])
        #expect(Self.words("--b-", "-", .isolated) == ["-", "-", "b", "-"])
        #expect(Self.words("--b-", "-", .mergedWithPrevious) == ["-", "-", "b-"])
        #expect(Self.words("--b-", "-", .mergedWithNext) == ["-", "-b", "-"])
        #expect(Self.words("--b-", "-", .contiguous) == ["--", "b", "-"])
    }

    @Test("finds strings of several bytes from left to right, within the range alone")
    func longPattern() {
        #expect(Self.words("aaaaa", "aa", .isolated) == ["aa", "aa", "a"])
        #expect(Self.words("x▁y▁", "▁", .mergedWithNext) == ["x", "▁y", "▁"])
        #expect(Self.words("x", ")", .isolated) == ["x"])
    }
}
