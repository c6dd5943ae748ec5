import Limits
import Testing

@Suite("A limit")
struct LimitTests {
    @Test("of whole numbers allows its ends and nothing beyond them")
    func wholeNumbers() {
        let limit = 1...10
        #expect(limit.refusal(of: 1) == nil && limit.refusal(of: 10) == nil)
        #expect(limit.refusal(of: 0) == "expected a whole number from 1 to 10, found 0")
        #expect(limit.refusal(of: .max) == "expected a whole number from 1 to 10, found 9223372036854775807")
        #expect((UInt64.min...UInt64.max).refusal(of: .max) == nil)
    }

    @Test(
        "of numbers says which of its ends are allowed",
        arguments: [
            (NumberLimit.from(0, to: 1), true, true, "a number from 0 to 1"),
            (.from(0, below: 1), true, false, "a number from 0 and below 1"),
            (.above(0, to: 1), false, true, "a number above 0 and at most 1"),
            (.above(0, below: 1), false, false, "a number above 0 and below 1"),
        ])
    func numbers(limit: NumberLimit, allowsLowest: Bool, allowsHighest: Bool, words: String) {
        #expect(limit.allows(0) == allowsLowest)
        #expect(limit.allows(1) == allowsHighest)
        #expect(limit.allows(0.5) && limit.allows(Double(0).nextUp) && limit.allows(Double(1).nextDown))
        for value in [-0.1, 1.1, -.infinity, .infinity, .nan] { #expect(!limit.allows(value)) }
        #expect(limit.expected == words)
        #expect(limit.refusal(of: -3) == "expected \(words), found -3")
    }

    @Test("of texts counts the bytes of UTF-8")
    func texts() {
        let limit = TextLimit(bytes: 1...4)
        #expect(limit.allows("é\u{301}") && !limit.allows("éé\u{301}") && !limit.allows(""))
        #expect(limit.refusal(of: "") == "expected at least one character, and at most 4 bytes, found an empty text")
        #expect(limit.refusal(of: "12345") == "expected at least one character, and at most 4 bytes, found 5 bytes")
        #expect(TextLimit(bytes: 0...4).allows(""))
    }

    @Test("of lists counts their elements")
    func lists() {
        let limit = ListLimit<Int>(1...2, of: "numbers")
        #expect(limit.allows([1]) && limit.allows([1, 2]))
        #expect(limit.refusal(of: []) == "expected at least one, and at most 2 numbers, found none")
        #expect(limit.refusal(of: [1, 2, 3]) == "expected at least one, and at most 2 numbers, found 3")
    }

    @Test(
        "that arithmetic goes beyond gives the nearest whole number",
        arguments: [
            (1.9, 1), (-1.9, -1), (1e300, .max), (-1e300, .min), (.infinity, .max), (-.infinity, .min), (.nan, 0),
            (0x1p63, .max), (-0x1p63, .min),
        ])
    func saturating(value: Double, whole: Int) {
        #expect(Int(saturating: value) == whole)
    }
}
