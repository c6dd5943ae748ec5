import Testing

@testable import Transformer

@Suite("Merging pairs")
struct PairMergerTests {
    /// The rule itself: again and again, of all neighbours the lowest rank, leftmost first.
    static func reference(_ word: [UInt8], _ model: BytePairModel) -> [Int32] {
        var symbols = word.map { model.byteSymbols[Int($0)] }
        while true {
            let ranks = zip(symbols, symbols.dropFirst()).map { model.merges.rank(of: $0, $1) }
            guard let best = ranks.min(), best != MergeTable.none, let place = ranks.firstIndex(of: best) else {
                return symbols
            }
            symbols.replaceSubrange(place...place + 1, with: [model.merges.merges[Int(best)].merged])
        }
    }

    @Test(
        "equals the rule, by looking through all pairs and by a heap", arguments: [0, 1, 2, 3, 7, 31, 95, 96, 97, 300])
    func equalsReference(length: Int) throws {
        let model = BytePairModel(try TokenizerFixture("gpt2").tokenizer().description)
        var generator = SplitMix(state: UInt64(length))
        var merger = PairMerger()
        // Few letters make for many merges, and merges of merges.
        for alphabet in ["ab", "the river", "aeinrst the"].map({ Array($0.utf8) }) {
            for _ in 0..<20 {
                let word = (0..<length).map { _ in alphabet[Int(generator.next() % UInt64(alphabet.count))] }
                let expected = Self.reference(word, model)
                for longWord in [0, Int.max] where length > 0 {
                    merger.merge(
                        word.span, in: 0..<length, byteSymbols: model.byteSymbols, merges: model.merges,
                        longWord: longWord)
                    #expect(merger.symbols == expected)
                }
            }
        }
    }

    @Test("takes a new pair of lower rank before the rest of the pairs it came from")
    func lowerRankAppears() {
        // b+c is joined second, but the pair it makes with a ranks first.
        let (a, b, c, bc, abc): (Int32, Int32, Int32, Int32, Int32) = (0, 1, 2, 3, 4)
        let merges = MergeTable([
            Merge(left: a, right: bc, merged: abc), Merge(left: b, right: c, merged: bc),
            Merge(left: c, right: a, merged: 5),
        ])
        var byteSymbols = [Int32](repeating: 9, count: 256)
        for (index, byte) in "abc".utf8.enumerated() { byteSymbols[Int(byte)] = Int32(index) }
        for longWord in [0, Int.max] {
            var merger = PairMerger()
            let word = Array("abcabc".utf8)
            merger.merge(word.span, in: 0..<6, byteSymbols: byteSymbols, merges: merges, longWord: longWord)
            #expect(merger.symbols == [abc, abc])
        }
    }

    @Test("follows the later of two merges of one pair")
    func duplicateMerge() {
        let merges = MergeTable([Merge(left: 0, right: 1, merged: 2), Merge(left: 0, right: 1, merged: 3)])
        #expect(merges.rank(of: 0, 1) == 1)
        #expect(merges.rank(of: 1, 0) == MergeTable.none)
    }

    @Test("ends on a word of a hundred thousand letters")
    func longWord() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        for word in [String(repeating: "a", count: 100_000), String(repeating: "river", count: 20_000)] {
            #expect(tokenizer.decode(tokenizer.encode(word)) == word)
        }
    }
}
