import Foundation
import TestScratch
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

    /// Equations 28 and 29, word for word, with the addends in the order of the tokens.
    private func naiveMatches(_ sets: ArraySlice<Set<Int32>>, query: [Int32]) -> [TermIndex.Match] {
        let weights = Set(query).sorted().map { token in
            let frequency = Double(sets.count { $0.contains(token) })
            let inverse = log((Double(sets.count) - frequency + 0.5) / (frequency + 0.5) + 1)
            return (token: token, weight: Double(query.count { $0 == token }) * inverse)
        }
        let scores = sets.map { set in weights.reduce(0.0) { set.contains($1.token) ? $0 + $1.weight : $0 } }
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

    @Test("equals a scorer that knows no index to the last bit, over random corpora that grow", arguments: 0..<8)
    func randomCorpora(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let vocabulary = [3, 20, 400][Int(seed) % 3]
        func sequence() -> [Int32] {
            (0..<Int.random(in: 1...30, using: &random)).map { _ in
                Int32(Int.random(in: 0..<vocabulary, using: &random) * Int.random(in: 0...1, using: &random))
            } + [Int32.random(in: 1_000...1_000_000, using: &random)]
        }
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        let index = corpus.store.termIndex
        var sequences: [Set<Int32>] = []
        for size in [1, 40, 0, 300, 700] {
            let additions = (0..<size).map { _ in sequence() }
            try add(additions, to: corpus, batch: Int.random(in: 1...200, using: &random))
            sequences += additions.map(Set.init)
            #expect(try corpus.store.statistics().sequences == sequences.count)

            for _ in 0..<3 {
                let query = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                    Int32.random(in: 0...Int32(vocabulary), using: &random)
                }
                let expected = naiveMatches(sequences[...], query: query)
                #expect(try index.search(queryTokens: query, limit: sequences.count) == expected)

                var scores = try index.scores(queryTokens: query, asOf: sequences.count + 1)
                #expect(scores.count == sequences.count)
                var found: [TermIndex.Match] = []
                try scores.forEachStretch { first, scores in
                    for (rowid, score) in zip(first..., scores) where score > 0 {
                        found.append(TermIndex.Match(rowid: rowid, score: score))
                    }
                }
                #expect(found == expected.sorted { $0.rowid < $1.rowid })

                let limit = Int.random(in: 1...50, using: &random)
                let shuffled = query.shuffled(using: &random)
                #expect(try index.search(queryTokens: shuffled, limit: limit) == Array(expected.prefix(limit)))

                let earlier = Int.random(in: 0...sequences.count, using: &random)
                #expect(
                    try index.search(queryTokens: query, limit: limit, asOf: earlier)
                        == Array(naiveMatches(sequences.prefix(earlier), query: query).prefix(limit)))
            }
        }
    }

    @Test("equals a scorer that knows no index where the corpus has several stretches, with a source and as of before")
    func severalStretches() throws {
        var random = SeededGenerator(seed: 7)
        let (documents, pieces, length) = (34, 1000, 3)
        // The smaller a token, the more sequences have it; token 100 is in the first stretch only, token 101 in the last.
        var sequences = (0..<(documents * pieces)).map { row in
            (0..<length).map { _ in Int32.random(in: 0...Int32.random(in: 0...12, using: &random), using: &random) }
        }
        sequences[7][0] = 100
        sequences[33_500][1] = 101
        let corpus = try TestCorpus(sequenceLength: length, encode: ToyTokenizer.numberedWords)
        try corpus.add(
            (0..<documents).map { document in
                let tokens = sequences[(document * pieces)..<((document + 1) * pieces)].joined()
                return jsonLine(
                    text: tokens.map { "w\($0)" }.joined(separator: " "),
                    more: document % 3 == 0 ? ", \"source\": \"third\"" : "")
            }.joined())
        let index = corpus.store.termIndex
        let sets = sequences.map(Set.init)
        let query: [Int32] = [4, 0, 3, 3, 12, 100, 101, 9, 999]
        for earlier in [34_000, 32_767] {
            let expected = naiveMatches(sets.prefix(earlier), query: query)
            for limit in [700, 40_000] {
                #expect(
                    try index.search(queryTokens: query, limit: limit, asOf: earlier) == Array(expected.prefix(limit)))
                guard earlier % pieces == 0 else { continue }
                let ofSource = expected.filter { (Int($0.rowid) - 1) / pieces % 3 == 0 }
                #expect(
                    try index.search(queryTokens: query, limit: limit, source: "third", asOf: earlier)
                        == Array(ofSource.prefix(limit)))
            }
        }
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
        try corpus.add(jsonLine(text: "w1 w0 w2 w1 w3"))
        let index = corpus.store.termIndex
        #expect(try index.search(queryTokens: [0], limit: 9).map(\.rowid) == [1])
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

    @Test("keeps rowids of any distance, however they are spread over appends", arguments: [1, 7, 1000])
    func storage(batch: Int) throws {
        let corpus = try TestCorpus()
        let dense = (1...1200).map(Int64.init)
        let sparse: [Int64] = [1, 2, 130, 257, 16_640, 32_767, 32_768, 32_769, 2_130_177, 270_565_633, 4_294_967_295]
        let rowids = Set(dense + sparse).sorted()
        try corpus.store.database.write { db in
            let table = PostingTable(db: db)
            for start in stride(from: 0, to: rowids.count, by: batch) {
                try table.append(
                    rowids[start..<min(start + batch, rowids.count)].map { rowid in
                        var tokens: [Int32] = []
                        if rowid <= 1200 { tokens += [7, .max] }
                        if sparse.contains(rowid) { tokens += [.min, -1, 0, 8] }
                        return PostingTable.Addition(rowid: rowid, tokens: tokens[...])
                    })
            }
            func stored(_ token: Int32) throws -> [Int64] {
                var stored: [Int64] = []
                try table.forEachBlock(of: token) { stretch, block in
                    for (index, byte) in try #require(block.bits()).enumerated() where byte != 0 {
                        stored += (0..<8).filter { byte >> UInt8($0) & 1 == 1 }.map { bit in
                            Int64(stretch * PostingBlock.span + 8 * index + bit)
                        }
                    }
                }
                return stored
            }
            for token in [7, .max] as [Int32] { #expect(try stored(token) == dense) }
            for token in [.min, -1, 0, 8] as [Int32] { #expect(try stored(token) == sparse) }
            #expect(try stored(9).isEmpty)
        }
        #expect(try corpus.store.termIndex.sequencesWithToken(7) == 1200)
    }

    @Test("keeps a token that many have as bits and one that few have as a list")
    func forms() throws {
        let corpus = try corpus((1...300).map { [1, $0 + 10] + ($0 % 100 == 0 ? [2] : $0 == 9 ? [3] : []) }, batch: 70)
        let rows = try corpus.store.database.read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT (key >> 32) || ' ' || (key & 4294967295) || ' ' || count || ' ' || hex(rowids)
                    FROM postings WHERE key < 4 << 32 ORDER BY key
                    """)
        }
        let allButTheFirstBit = "FE" + String(repeating: "FF", count: 36) + "1F"
        #expect(rows == ["1 0 300 \(allButTheFirstBit)", "2 0 3 6400C8002C01", "3 0 1 0900"])
    }

    @Test("is made again for a corpus whose postings were kept in another way")
    func migration() throws {
        let folder = try TemporaryFolder()
        let tokenization = CorpusTokenization(
            tokenizerDigest: "toy", sequenceLength: 3, prefix: [0], encode: ToyTokenizer.numberedWords)
        let before = try CorpusStore(folder: folder.url, tokenization: tokenization)
        try CorpusImport(into: before).run([
            .bytes(Array(jsonLine(text: "w1 w0 w2 w1 w3", more: ", \"source\": \"a\"").utf8), name: "x"),
            .bytes(Array(jsonLine(text: "w1").utf8), name: "y"),
        ])
        let expected = try before.termIndex.search(queryTokens: [0, 1, 3], limit: 9)
        let ofSource = try before.termIndex.search(queryTokens: [0, 1, 3], limit: 9, source: "a")
        try before.database.write { db in
            try db.execute(sql: "DROP TABLE postings; CREATE TABLE postings (key INTEGER PRIMARY KEY, deltas BLOB)")
            try db.execute(sql: "DROP TABLE source_sequences")
            try db.execute(sql: "DELETE FROM grdb_migrations WHERE identifier = '2'")
        }
        try before.close()
        let after = try CorpusStore(folder: folder.url, tokenization: tokenization)
        #expect(expected.count == 4)
        #expect(ofSource.count == 3)
        #expect(try after.termIndex.search(queryTokens: [0, 1, 3], limit: 9) == expected)
        #expect(try after.termIndex.search(queryTokens: [0, 1, 3], limit: 9, source: "a") == ofSource)
        try after.close()
    }

    @Test("refuses to number more sequences than it has room for")
    func tooManySequences() throws {
        let corpus = try TestCorpus()
        #expect(throws: CorpusError.tooManySequences(limit: 4_294_967_295)) {
            try corpus.store.write { db in
                try PostingTable(db: db).append([PostingTable.Addition(rowid: 4_294_967_296, tokens: [1])])
            }
        }
    }

    @Test(
        "says that it is damaged when it names sequences that do not exist",
        arguments: [3, 32_767, 32_768, 4_294_967_295])
    func damaged(rowid: Int64) throws {
        let corpus = try corpus([[1], [2]])
        try corpus.store.database.write { db in
            try PostingTable(db: db).append([PostingTable.Addition(rowid: rowid, tokens: [1])])
        }
        #expect(throws: CorpusError.self) { try corpus.store.termIndex.search(queryTokens: [1], limit: 5) }
        #expect(try corpus.store.termIndex.search(queryTokens: [2], limit: 5).map(\.rowid) == [2])
    }

    @Test(
        "says that it is damaged when a row is none that is written",
        arguments: [
            (0, "0100"), (-1, "0100"), (32_769, "06"), (1, ""), (1, "010002"), (2, "01000080"), (2, "0100FFFF"),
            (1, "0300"),
        ])
    func damagedRow(count: Int, rowids: String) throws {
        let corpus = try corpus([[1], [2]])
        try corpus.store.database.write { db in
            try db.execute(sql: "UPDATE postings SET count = \(count), rowids = x'\(rowids)' WHERE key >> 32 = 1")
        }
        #expect {
            try corpus.store.termIndex.search(queryTokens: [1], limit: 5)
        } throws: {
            if case .damaged? = $0 as? CorpusError { true } else { false }
        }
    }
}
