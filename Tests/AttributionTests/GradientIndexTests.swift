import Corpus
import Curvature
import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Attribution

@Suite("The gradient index")
struct GradientIndexTests {
    /// Keeps several signs for each coordinate of the tiny model's gradients.
    private static let complete = SketchLayout(leading: 256, signs: 65_536)

    private func query(
        _ prefilter: CandidateSelection.Prefilter = .index, limit: Int = 10,
        direction: InfluenceQuery.Direction = .positive
    ) -> InfluenceQuery {
        var query = TinyEngine.query()
        query.candidates = CandidateSelection(prefilter: prefilter, limit: limit)
        query.direction = direction
        query.rank = .full
        return query
    }

    private func ids(_ result: InfluenceResult) -> Set<String> { Set(result.sequences.map(\.id)) }

    @Test("finds the sequences that an exact sweep finds, under any damping, if it keeps much of the gradients")
    func exact() throws {
        let tiny = try TinyEngine(index: Self.complete)
        for damping in [nil, 1e-3, 10] as [Double?] {
            for direction in [InfluenceQuery.Direction.positive, .negative] {
                var everything = query(.all, direction: direction)
                everything.topK = 5
                everything.damping = damping
                var indexed = query(limit: 10, direction: direction)
                indexed.damping = damping
                let expected = try tiny.answer(everything)
                let found = try tiny.answer(indexed)
                #expect(found.candidates.considered == 10 && found.candidates.selection == "index")
                #expect(ids(found).intersection(ids(expected)).count >= min(4, ids(expected).count))
            }
        }
    }

    @Test("finds most of them if it keeps little")
    func approximate() throws {
        let tiny = try TinyEngine(index: SketchLayout(leading: 24, signs: 512))
        var everything = query(.all)
        everything.topK = 5
        let expected = ids(try tiny.answer(everything))
        #expect(ids(try tiny.answer(query(limit: 20))).intersection(expected).count >= 4)
    }

    @Test("finds half of both directions within the limit")
    func halves() throws {
        let tiny = try TinyEngine(index: Self.complete)
        let both = try tiny.answer(query(limit: 7, direction: .both))
        #expect(both.candidates.considered == 7)
        let proponents = ids(try tiny.answer(query(limit: 4)))
        let opponents = ids(try tiny.answer(query(limit: 3, direction: .negative)))
        #expect(ids(both).isSuperset(of: proponents.union(opponents)))
    }

    @Test("finds by gradients and words together as many as are asked for, also of a source")
    func together() throws {
        let tiny = try TinyEngine(index: Self.complete)
        for direction in [InfluenceQuery.Direction.positive, .negative] {
            let found = try tiny.answer(query(.both, limit: 9, direction: direction))
            #expect(found.candidates.selection == "both" && found.candidates.considered == 9)
        }
        // What shares words may be among the likeliest on either side.
        #expect((5...9) ~= (try tiny.answer(query(.both, limit: 9, direction: .both)).candidates.considered))
        var odd = query(.both, limit: 3)
        odd.candidates.source = "odd"
        let found = try tiny.answer(odd)
        #expect(found.candidates.considered == 3 && found.sequences.allSatisfy { $0.source == "odd" })
    }

    @Test(
        "finds every sequence for a limit beyond their number, up to the largest that there is",
        arguments: [CandidateSelection.Prefilter.index, .both], [InfluenceQuery.Direction.positive, .both])
    func limits(prefilter: CandidateSelection.Prefilter, direction: InfluenceQuery.Direction) throws {
        let tiny = try TinyEngine(index: Self.complete)
        let most = InfluenceQuery.Limits.candidates.upperBound
        let found = try tiny.answer(query(prefilter, limit: most, direction: direction))
        #expect(found.candidates.considered == tiny.texts.count)
        let index = try #require(tiny.engine.index.index)
        let gradients = try tiny.engine.gradients(of: [tiny.engine.tokenize(query())])
        for limit in [Int.max, 1 << 62, most] {
            let asked = index.query(gradients[0], damping: nil, limit: limit, direction: direction)
            let rowids = try index.search([asked], asOf: .max, workers: Workers(count: 2))
            #expect(rowids == [Array(1...Int64(tiny.texts.count))])
        }
    }

    @Test("lets words decide between equal estimates, and estimates between sequences that share as much")
    func combined() {
        let combined = CombinedScores(estimates: [1, 1, -3, -3, 1, .nan], words: [0, 4, 4, 0, 1])
        func order(_ scores: [Float]) -> [Int] {
            scores.indices.filter { scores[$0].isFinite }.sorted { scores[$0] > scores[$1] }
        }
        #expect(order(combined.proponents) == [1, 4, 0, 2, 3])
        #expect(order(combined.opponents) == [2, 3, 1, 4, 0])
        #expect(combined.proponents[5].isNaN && combined.opponents[5].isNaN)
        let alike = CombinedScores(estimates: [2, 2], words: [5, 5])
        #expect(alike.proponents == alike.opponents && alike.proponents[0] == alike.proponents[1])
        #expect(CombinedScores(estimates: [], words: [1]).proponents.isEmpty)
    }

    @Test("lets a pair of tokens that ends in the completion outweigh a small difference, and not a large one")
    func pairs() throws {
        let sequences: [[Int32]] = [[1, 2, 3], [3, 2, 1], [9, 1, 2, 3, 1, 2], [], [2]]
        let asked: [SharedWords.Pair] = [.init(first: 1, second: 2), .init(first: 2, second: 3)]
        let words = SharedWords(scores: [0, 0, 0, 0, 0], pairs: Set(asked)) { rowids in
            rowids.map { sequences[Int($0) - 1] }
        }
        let counts = try words.pairCounts(in: [1, 2, 3, 4, 5])
        #expect(counts == [2, 0, 2, 0, 0], "the first has both, the third too, and what comes twice counts once")
        let none = SharedWords(scores: [], pairs: []) { _ in throw CancellationError() }
        #expect(try none.pairCounts(in: [1, 2]) == [0, 0], "nothing is read where there is nothing to look for")

        var combined = CombinedScores(estimates: [0, 1, 2, 3, 40], words: words.scores)
        combined.add(pairs: [1], of: [1])
        let order = combined.proponents.indices.sorted { combined.proponents[$0] > combined.proponents[$1] }
        #expect(order == [4, 0, 3, 2, 1])
        let opponents = combined.opponents.indices.sorted { combined.opponents[$0] > combined.opponents[$1] }
        #expect(opponents == [0, 1, 2, 3, 4])
    }

    @Test("looks for each of the completion's tokens behind the one before it")
    func pairsOfCompletion() throws {
        let tiny = try TinyEngine(index: Self.complete)
        let query = TinyEngine.query()
        let tokenized = try tiny.engine.tokenize(query).completion
        #expect(tokenized.pairs.count == tokenized.completion.count)
        #expect(tokenized.pairs.first?.first == tokenized.tokens[tokenized.completionStart - 1])
        #expect(tokenized.pairs.map(\.second) == Array(tokenized.completion))
    }

    @Test("finds only sequences of a source, and as many of them as are asked for")
    func source() throws {
        let tiny = try TinyEngine(index: Self.complete)
        var odd = query(limit: 8)
        odd.candidates.source = "odd"
        let result = try tiny.answer(odd)
        #expect(result.candidates.considered == 8)
        #expect(result.sequences.allSatisfy { $0.source == "odd" })
    }

    @Test("takes up sequences that are added, when it is next used")
    func addition() throws {
        let tiny = try TinyEngine(texts: 20, index: Self.complete)
        let index = try #require(tiny.engine.index.index)
        _ = try tiny.answer(query(limit: 5))
        #expect(index.sequences == 20)
        let text = "In the beginning God created the heaven and the earth."
        _ = try tiny.engine.ingest(
            SequenceUpload(
                body: Array("{\"id\": \"new\", \"text\": \"\(text)\"}".utf8), form: .lines, maximumRecords: 9)
        )
        #expect(try tiny.engine.describe().index?.sequences == 20)
        #expect(try tiny.answer(query(limit: 5)).sequences.first?.id == "new")
        #expect(index.sequences == 21)
        #expect(try tiny.engine.describe().index?.bytes == 21 * index.recordBytes)
    }

    @Test("is not needed for other candidates, and where it is missing a query that wants it is told so")
    func missing() throws {
        let tiny = try TinyEngine(texts: 10)
        for prefilter in [CandidateSelection.Prefilter.index, .both] {
            let query = query(prefilter)
            let expected = QueryError.unusable(
                field: "candidates.prefilter",
                reason: "there is no gradient index yet: make it with \"tributary index\"")
            #expect(throws: expected) { try tiny.engine.validate(query) }
            #expect(throws: expected) { try tiny.answer(query) }
        }
        #expect(try tiny.answer(query(.tfidf)).sequences.count > 0)
        #expect(try tiny.engine.describe().index == nil)
    }

    // MARK: - The file

    private func open(_ tiny: TinyEngine) throws -> GradientIndex {
        try GradientIndex(
            path: tiny.indexFile, modelDigest: tiny.engine.modelDigest, factors: tiny.engine.factors,
            corpus: tiny.engine.corpus)
    }

    private func extend(_ index: GradientIndex, of tiny: TinyEngine, step: () throws -> Void = {}) throws {
        try index.extend(
            to: try tiny.engine.corpus.statistics().sequences, of: tiny.engine.corpus, decoder: tiny.engine.decoder,
            workers: Workers(count: 2), batchTokens: 1, step: step)
    }

    private struct Stop: Error {}

    @Test("goes on where it was interrupted, and is then the same to the last byte")
    func resumption() throws {
        let tiny = try TinyEngine(texts: 20, index: SketchLayout())
        try extend(try open(tiny), of: tiny)
        let whole = try Data(contentsOf: URL(fileURLWithPath: tiny.indexFile))
        // As if the process had died while it wrote the records behind the seventh.
        let record = try open(tiny).recordBytes
        var cut = whole.prefix(GradientIndexFile.headerBytes + 9 * record + 11)
        cut[72] = 7
        try cut.write(to: URL(fileURLWithPath: tiny.indexFile))
        let resumed = try open(tiny)
        #expect(resumed.sequences == 7)
        #expect(throws: Stop.self) { try extend(resumed, of: tiny) { throw Stop() } }
        try extend(resumed, of: tiny)
        #expect(try Data(contentsOf: URL(fileURLWithPath: tiny.indexFile)) == whole)
    }

    @Test("is refused if it is of other factors, or of another corpus")
    func others() throws {
        let tiny = try TinyEngine(texts: 20, index: SketchLayout())
        try extend(try open(tiny), of: tiny)
        #expect(throws: GradientIndexError.ofOtherFactors(file: tiny.indexFile)) {
            try GradientIndex(
                path: tiny.indexFile, modelDigest: "another", factors: tiny.engine.factors,
                corpus: tiny.engine.corpus)
        }
        let smaller = try TinyEngine(texts: 19)
        #expect(throws: GradientIndexError.ofAnotherCorpus(file: tiny.indexFile, sequence: 20)) {
            try GradientIndex(
                path: tiny.indexFile, modelDigest: tiny.engine.modelDigest, factors: tiny.engine.factors,
                corpus: smaller.engine.corpus)
        }
        let reversed = try TinyEngine(texts: 20, isReversed: true)
        #expect(throws: GradientIndexError.ofAnotherCorpus(file: tiny.indexFile, sequence: 1)) {
            try GradientIndex(
                path: tiny.indexFile, modelDigest: tiny.engine.modelDigest, factors: tiny.engine.factors,
                corpus: reversed.engine.corpus)
        }
    }

    @Test("is refused if it is damaged, with its name and what to do")
    func damaged() throws {
        let tiny = try TinyEngine(texts: 5, index: SketchLayout(leading: 8, signs: 64))
        try extend(try open(tiny), of: tiny)
        let whole = try Data(contentsOf: URL(fileURLWithPath: tiny.indexFile))
        func expectRefusal(_ bytes: Data, _ comment: Comment) throws {
            try bytes.write(to: URL(fileURLWithPath: tiny.indexFile))
            #expect(comment) { try open(tiny) } throws: { error in
                let text = (error as? GradientIndexError)?.description ?? ""
                return text.hasPrefix(tiny.indexFile) && text.contains("tributary index --rebuild")
            }
        }
        for count in [0, 1, 7, 8, 64, 127, 128, whole.count - 1] {
            try expectRefusal(whole.prefix(count), "cut to \(count) bytes")
        }
        for byte in 0..<72 {
            var changed = whole
            changed[byte] ^= 0x41
            try expectRefusal(changed, "byte \(byte) changed")
        }
        var counted = whole
        counted[79] = 0xFF
        try expectRefusal(counted, "more sequences than any corpus has")
        try FileManager.default.removeItem(atPath: tiny.indexFile)
        #expect(throws: GradientIndexError.missing(file: tiny.indexFile)) { try open(tiny) }
    }

    @Test("goes on to be searched while damage in its records makes scores that are no numbers")
    func damagedRecords() throws {
        let tiny = try TinyEngine(texts: 10, index: SketchLayout(leading: 8, signs: 64))
        try extend(try open(tiny), of: tiny)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: tiny.indexFile))
        let record = try open(tiny).recordBytes
        // The scales of the third sequence.
        for offset in 4..<36 { bytes[GradientIndexFile.headerBytes + 2 * record + offset] = 0xFF }
        try bytes.write(to: URL(fileURLWithPath: tiny.indexFile))
        let engine = tiny.engine(with: try open(tiny))
        let result = try #require(engine.answer([query(limit: 10)], control: BatchControl()).first).get()
        #expect(result.candidates.considered == 9)
        #expect(!ids(result).contains("text-2"))
    }
}
