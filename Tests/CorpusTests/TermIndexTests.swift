import Foundation
import Testing

@testable import Corpus

@Suite("The term index")
struct TermIndexTests {
    /// Sequences of numbered words, one to a document.
    private func corpus(_ sequences: [[Int32]], batch: Int = 8192) throws -> TestCorpus {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        try add(sequences, to: corpus, batch: batch)
        return corpus
    }

    private func add(_ sequences: [[Int32]], to corpus: TestCorpus, batch: Int = 8192) throws {
        var importer = CorpusImport(into: corpus.store)
        importer.batchLimit = (records: batch, bytes: 1 << 20)
        let lines = sequences.map { jsonLine(text: $0.map { "w\($0)" }.joined(separator: " ")) }.joined()
        try importer.run([.bytes(Array(lines.utf8), name: "x")])
    }

    /// Equations 28 and 29, word for word.
    private func naiveMatches(_ sequences: [[Int32]], query: [Int32]) -> [TermIndex.Match] {
        let sets = sequences.map(Set.init)
        let count = Double(sets.count)
        let scores = sets.map { set in
            query.filter(set.contains).reduce(0.0) { sum, token in
                let frequency = Double(sets.count { $0.contains(token) })
                return sum + log((count - frequency + 0.5) / (frequency + 0.5) + 1)
            }
        }
        return scores.enumerated()
            .map { TermIndex.Match(rowid: Int64($0.offset) + 1, score: $0.element) }
            .filter { $0.score > 0 }
            .sorted { $0.score == $1.score ? $0.rowid < $1.rowid : $0.score > $1.score }
    }

    @Test("scores as computed by hand")
    func byHand() throws {
        // C = 3; token 1 is in one sequence, token 2 in two: IDF = log(2.5/1.5 + 1) and log(1.5/2.5 + 1).
        let corpus = try corpus([[1, 2, 1], [2, 3], [3]])
        let matches = try corpus.store.termIndex.search(queryTokens: [1, 2, 2, 9], limit: 10)
        #expect(matches.map(\.rowid) == [1, 2])
        let expected = [1.920_836_511_503_2, 0.940_007_258_491_5]
        #expect(zip(matches, expected).allSatisfy { abs($0.score - $1) < 1e-12 })
    }

    @Test("equals a scorer that knows no index, over random corpora that grow", arguments: 0..<8)
    func randomCorpora(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let vocabulary = [3, 20, 400][Int(seed) % 3]
        func sequence() -> [Int32] {
            (0..<Int.random(in: 1...30, using: &random)).map { _ in
                Int32(Int.random(in: 0..<vocabulary, using: &random) * Int.random(in: 0...1, using: &random))
            } + [Int32.random(in: 1_000...1_000_000, using: &random)]
        }
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        var sequences: [[Int32]] = []
        for size in [1, 40, 0, 300, 700] {
            let additions = (0..<size).map { _ in sequence() }
            try add(additions, to: corpus, batch: Int.random(in: 1...200, using: &random))
            sequences += additions
            #expect(try corpus.store.statistics().sequences == sequences.count)

            for _ in 0..<5 {
                let query = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                    Int32.random(in: 0...Int32(vocabulary), using: &random)
                }
                let expected = naiveMatches(sequences, query: query)
                let matches = try corpus.store.termIndex.search(queryTokens: query, limit: sequences.count)
                #expect(Set(matches.map(\.rowid)) == Set(expected.map(\.rowid)))
                #expect(zip(matches, expected).allSatisfy { abs($0.score - $1.score) < 1e-9 })
                #expect(zip(matches, matches.dropFirst()).allSatisfy { isInOrder($0, $1) })

                let shuffled = query.shuffled(using: &random)
                let limit = Int.random(in: 1...50, using: &random)
                #expect(
                    try corpus.store.termIndex.search(queryTokens: shuffled, limit: limit)
                        == Array(matches.prefix(limit)))
            }
        }
    }

    private func isInOrder(_ first: TermIndex.Match, _ second: TermIndex.Match) -> Bool {
        first.score > second.score || (first.score == second.score && first.rowid < second.rowid)
    }

    @Test("counts repeats in the query, but not in the sequence")
    func repeats() throws {
        let corpus = try corpus([[1], [1, 1, 1, 5], [2]])
        let index = corpus.store.termIndex
        let once = try index.search(queryTokens: [1], limit: 9)
        #expect(once.map(\.rowid) == [1, 2])
        #expect(once.first?.score == once.last?.score)
        let twice = try index.search(queryTokens: [1, 1], limit: 9)
        #expect(twice.map(\.score) == once.map { 2 * $0.score })
    }

    @Test("leaves out what shares no token, and scores even a token that all have")
    func sharedTokens() throws {
        let corpus = try corpus([[1, 2], [1, 3], [1]])
        let index = corpus.store.termIndex
        #expect(try index.search(queryTokens: [9, -9], limit: 9).isEmpty)
        #expect(try index.search(queryTokens: [], limit: 9).isEmpty)
        #expect(try index.search(queryTokens: [1], limit: 0).isEmpty)
        #expect(try index.search(queryTokens: [1], limit: -1).isEmpty)
        let everywhere = try index.search(queryTokens: [1], limit: 9)
        #expect(everywhere.map(\.rowid) == [1, 2, 3])
        #expect(everywhere.allSatisfy { abs($0.score - log(0.5 / 3.5 + 1)) < 1e-15 })
        #expect(try index.search(queryTokens: [1], limit: 2).map(\.rowid) == [1, 2])
    }

    @Test("does not index the prefix, unless the text has it too")
    func prefix() throws {
        let corpus = try TestCorpus(sequenceLength: 3, prefix: [0], encode: ToyTokenizer.numberedWords)
        try corpus.add(jsonLine(text: "w1 w2 w0 w1 w3"))
        let index = corpus.store.termIndex
        #expect(try index.search(queryTokens: [0], limit: 9).map(\.rowid) == [2])
        #expect(try index.search(queryTokens: [1], limit: 9).map(\.rowid) == [1, 2])
        #expect(try index.search(queryTokens: [3], limit: 9).map(\.rowid) == [3])
    }

    @Test("returns only sequences of a source, with the frequencies of the whole corpus")
    func sources() throws {
        let corpus = try TestCorpus(sequenceLength: 2, encode: ToyTokenizer.numberedWords)
        try corpus.add(
            jsonLine(text: "w1", more: ", \"source\": \"a\"")
                + jsonLine(text: "w1 w2 w3 w1", more: ", \"source\": \"b\"")
                + jsonLine(text: "w1 w4") + jsonLine(text: "w2", more: ", \"source\": \"b\""))
        let index = corpus.store.termIndex
        let all = try index.search(queryTokens: [1, 2], limit: 9)
        let ofB = try index.search(queryTokens: [1, 2], limit: 9, source: "b")
        #expect(ofB.map(\.rowid) == [2, 5, 3])
        #expect(ofB == all.filter { [2, 3, 5].contains($0.rowid) })
        #expect(try index.search(queryTokens: [1, 2], limit: 1, source: "b").map(\.rowid) == [2])
        #expect(try index.search(queryTokens: [1], limit: 9, source: "none").isEmpty)
    }

    @Test("says in how many sequences a token is")
    func frequencies() throws {
        let corpus = try corpus([[1, 1, 2], [1], [3]])
        let index = corpus.store.termIndex
        #expect(try [1, 2, 3, 4].map(index.sequencesWithToken) == [2, 1, 1, 0])
    }

    @Test("keeps rowids of any distance, however they are spread over appends", arguments: [1, 2, 3, 1000])
    func storage(batch: Int) throws {
        let corpus = try TestCorpus()
        let dense = (1...1200).map(Int64.init)
        let sparse: [Int64] = [1, 2, 129, 130, 257, 16_640, 16_641, 33_025, 2_130_177, 270_565_633, 4_294_967_295]
        let rowids = Set(dense + sparse).sorted()
        try corpus.store.database.write { db in
            for start in stride(from: 0, to: rowids.count, by: batch) {
                let additions = rowids[start..<min(start + batch, rowids.count)].map { rowid in
                    var tokens: [Int32] = []
                    if rowid <= 1200 { tokens += [7, .max] }
                    if sparse.contains(rowid) { tokens += [.min, -1, 0, 8] }
                    return TermIndex.Addition(rowid: rowid, tokens: tokens[...])
                }
                try TermIndex.append(additions, to: db)
            }
            for token in [7, .max] as [Int32] { #expect(try TermIndex.postings(of: token, db) == dense) }
            for token in [.min, -1, 0, 8] as [Int32] { #expect(try TermIndex.postings(of: token, db) == sparse) }
            #expect(try TermIndex.postings(of: 9, db).isEmpty)
        }
        #expect(try corpus.store.termIndex.sequencesWithToken(7) == 1200)
    }

    @Test("fills blocks up to their capacity and leaves full ones alone")
    func blocks() throws {
        let corpus = try corpus((0..<2000).map { [1, Int32($0) + 10] }, batch: 100)
        func blocks() throws -> [String] {
            try corpus.store.database.read { db in
                try String.fetchAll(
                    db,
                    sql: """
                        SELECT (key & 4294967295) || ' ' || count || ' ' || length(deltas)
                        FROM postings WHERE key >> 32 = 1 ORDER BY key
                        """)
            }
        }
        #expect(try blocks() == ["1 513 512", "514 513 512", "1027 513 512", "1540 461 460"])
        try add([[1, 5], [2, 5]], to: corpus)
        #expect(try blocks().last == "1540 462 461")
    }

    @Test("refuses to number more sequences than it has room for")
    func tooManySequences() throws {
        let corpus = try TestCorpus()
        #expect(throws: CorpusError.tooManySequences(limit: 4_294_967_295)) {
            try corpus.store.write { db in
                try TermIndex.append([TermIndex.Addition(rowid: 4_294_967_296, tokens: [1])], to: db)
            }
        }
    }

    @Test("says that it is damaged when it names sequences that do not exist")
    func damaged() throws {
        let corpus = try corpus([[1], [2]])
        try corpus.store.database.write { db in
            try TermIndex.append([TermIndex.Addition(rowid: 3, tokens: [1])], to: db)
        }
        #expect(throws: CorpusError.self) { try corpus.store.termIndex.search(queryTokens: [1], limit: 5) }
        #expect(try corpus.store.termIndex.search(queryTokens: [2], limit: 5).map(\.rowid) == [2])
    }
}

/// A small random number generator that can be seeded.
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
