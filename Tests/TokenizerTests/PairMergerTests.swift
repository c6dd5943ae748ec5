import TestScratch
import Testing

@testable import Tokenizer

@Suite("Merging pairs")
struct PairMergerTests {
    /// The rule itself: again and again, of all neighbours the lowest rank, leftmost first.
    static func reference(_ word: [UInt8], _ model: BytePairModel) -> [Int32] {
        var symbols = symbols(of: word, model)
        while true {
            let entries = zip(symbols, symbols.dropFirst()).map { model.merges.entry(of: $0, $1) }
            guard let best = entries.map(\.rank).min(), best != MergeTable.none,
                let place = entries.firstIndex(where: { $0.rank == best })
            else { return symbols }
            symbols.replaceSubrange(place...place + 1, with: [entries[place].merged])
        }
    }

    static func symbols(of word: [UInt8], _ model: BytePairModel) -> [Int32] {
        guard case .bytes(let tokens) = model.symbols else { return [] }
        return word.map { tokens[Int($0)] }
    }

    @Test(
        "equals the rule, by looking through all pairs and by a heap", arguments: [0, 1, 2, 3, 7, 31, 95, 96, 97, 300])
    func equalsReference(length: Int) throws {
        let model = BytePairModel(try TokenizerFixture("gpt2").tokenizer().description)
        var generator = SeededGenerator(seed: UInt64(length))
        var merger = PairMerger()
        // Few letters make for many merges, and merges of merges.
        for alphabet in ["ab", "the river", "aeinrst the"].map({ Array($0.utf8) }) {
            for _ in 0..<20 {
                let word = (0..<length).map { _ in alphabet[Int(generator.next() % UInt64(alphabet.count))] }
                let expected = Self.reference(word, model)
                for longWord in [0, Int.max] where length > 0 {
                    merger.start { $0 = Self.symbols(of: word, model) }
                    merger.merge(by: model.merges, longWord: longWord)
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
        for longWord in [0, Int.max] {
            var merger = PairMerger()
            merger.start { $0 = [a, b, c, a, b, c] }
            merger.merge(by: merges, longWord: longWord)
            #expect(merger.symbols == [abc, abc])
        }
    }

    @Test("follows the later of two merges of one pair")
    func duplicateMerge() {
        let merges = MergeTable([Merge(left: 0, right: 1, merged: 2), Merge(left: 0, right: 1, merged: 3)])
        #expect(merges.entry(of: 0, 1) == MergeTable.Entry(rank: 1, merged: 3))
        #expect(merges.entry(of: 1, 0) == .none)
    }

    @Test("takes the leftmost of pairs that share a rank, whichever they are", arguments: [0, Int.max])
    func sharedRanks(longWord: Int) {
        let list = [Merge(left: 1, right: 2, merged: 12), Merge(left: 2, right: 1, merged: 21)]
        var merger = PairMerger()
        for (word, expected) in [([1, 2, 1], [12, 1]), ([2, 1, 2, 1, 1], [21, 21, 1])] as [([Int32], [Int32])] {
            merger.start { $0 = word }
            merger.merge(by: MergeTable(list, ranks: [7, 7]), longWord: longWord)
            #expect(merger.symbols == expected)
        }
        merger.start { $0 = [2, 1, 2] }
        merger.merge(by: MergeTable(list), longWord: longWord)
        #expect(merger.symbols == [2, 12])
    }

    @Test("ends on a word of a hundred thousand letters")
    func longWord() throws {
        let tokenizer = try TokenizerFixture("gpt2").tokenizer()
        for word in [String(repeating: "a", count: 100_000), String(repeating: "river", count: 20_000)] {
            #expect(tokenizer.decode(tokenizer.encode(word)) == word)
        }
    }
}
