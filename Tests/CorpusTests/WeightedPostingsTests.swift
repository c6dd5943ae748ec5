import Testing

@testable import Corpus

@Suite("The sums of weighted bits")
struct WeightedPostingsTests {
    @Test("are those of a loop over sequences and tokens", arguments: [1, 7, 31, 32, 33, 576, 33_000])
    func plainTwin(last: Int) throws {
        let tokens = 5
        func has(_ token: Int, _ rowid: Int) -> Bool { (rowid &* 2_654_435_761 >> (token + 3)) % (token + 1) == 0 }
        func weight(_ token: Int) -> Double { 1 / Double(token + 3) }

        var postings = WeightedPostings(last: last)
        for token in 0..<tokens {
            for stretch in 0...(last / PostingBlock.span) {
                var bits = [UInt8](repeating: 0, count: PostingBlock.span / 8)
                let first = stretch * PostingBlock.span
                for rowid in max(1, first)...min(last, first + PostingBlock.span - 1) where has(token, rowid) {
                    bits[(rowid - first) / 8] |= 1 << UInt8(rowid % 8)
                }
                if let block = PostingBlock(bits: bits) { postings.append(block, stretch: stretch) }
            }
            postings.endToken(weight: weight(token))
        }
        let threshold = 0.4
        var found: [Int: Double] = [:]
        for range in Array(postings.ranges) {
            #expect(postings.forEachMatch(in: range, above: threshold) { found[$0] = $1 })
        }
        let expected = (1...last).map { rowid in
            (rowid, (0..<tokens).reduce(0.0) { has($1, rowid) ? $0 + weight($1) : $0 })
        }.filter { $0.1 > threshold }
        #expect(found == Dictionary(uniqueKeysWithValues: expected))
    }
}
