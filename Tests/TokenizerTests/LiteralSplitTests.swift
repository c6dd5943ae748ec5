import Testing

@testable import Tokenizer

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
