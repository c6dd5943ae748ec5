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

    @Test("finds by gradients and lexical overlap together as many as are asked for, also of a source")
    func together() throws {
        let tiny = try TinyEngine(index: Self.complete)
        for direction in [InfluenceQuery.Direction.positive, .negative] {
            let found = try tiny.answer(query(.both, limit: 9, direction: direction))
            #expect(found.candidates.selection == "both" && found.candidates.considered == 9)
        }
        // A sequence with lexical overlap can be among the likeliest in both directions.
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

    private func combined(_ estimates: [Float], _ tfidf: [Double], pairs: [Int]? = nil) -> [(Double, Double)] {
        var (estimateMoments, termMoments) = (Moments(), Moments())
        estimateMoments.add(estimates)
        termMoments.add(tfidf)
        let combined = CombinedScores(estimates: estimateMoments, tfidf: termMoments)
        return estimates.indices.map {
            let scores = combined.scores(estimate: estimates[$0], tfidf: tfidf[$0], pairs: pairs?[$0] ?? 0)
            return (scores.proponent, scores.opponent)
        }
    }

    @Test("lets TF-IDF decide between equal estimates, and estimates between sequences that share as much")
    func combined() {
        let scores = combined([1, 1, -3, -3, 1, .nan], [0, 4, 4, 0, 1, 0])
        func order(_ scores: [Double]) -> [Int] {
            scores.indices.filter { scores[$0].isFinite }.sorted { scores[$0] > scores[$1] }
        }
        #expect(order(scores.map(\.0)) == [1, 4, 0, 2, 3])
        #expect(order(scores.map(\.1)) == [2, 3, 1, 4, 0])
        #expect(scores[5].0.isNaN && scores[5].1.isNaN)
        let alike = combined([2, 2], [5, 5])
        #expect(alike.allSatisfy { $0 == alike[0] && $0.0 == $0.1 })
    }

    @Test("finds the same mean and spread in one part and in many", arguments: [1, 7, 31, 32, 33, 576])
    func moments(part: Int) {
        var random = SplitMix64(seed: 3)
        var values = (0..<576).map { _ in Float.random(in: 1_000...1_001, using: &random) }
        values[17] = .nan
        var (whole, parts) = (Moments(), Moments())
        whole.add(values)
        for start in stride(from: 0, to: values.count, by: part) {
            parts.add(values[start..<min(start + part, values.count)])
        }
        let finite = values.filter(\.isFinite).map(Double.init)
        let mean = finite.reduce(0, +) / Double(finite.count)
        let variance = finite.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(finite.count)
        for moments in [whole, parts] {
            #expect(abs(moments.mean - mean) < 1e-9)
            #expect(abs(moments.reciprocalDeviation * variance.squareRoot() - 1) < 1e-9)
        }
    }

    @Test("finds by estimates and lexical overlap what one list of all scores has at its ends", arguments: [1, 9, 60])
    func streamed(length: Int) throws {
        let corpus = try TinyEngine().engine.corpus
        let count = try corpus.statistics().sequences
        var random = SplitMix64(seed: 5)
        var values = (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
        values[11] = .nan
        let parts = stride(from: 0, to: count, by: length).map { start in
            var part = Estimates.Part(start: start)
            part.append(Array(values[start..<min(start + length, count)]))
            return part
        }
        let asked = Array(try corpus.tokens(rowids: [3, 4, 3]).joined())
        let pairs = Set(zip(asked, asked.dropFirst()).map { LexicalOverlap.Pair(first: $0, second: $1) })
        let overlap = LexicalOverlap(
            scores: { try corpus.termIndex.scores(queryTokens: asked, asOf: count) }, pairs: pairs,
            tokens: { try corpus.tokens(rowids: $0) })

        var shared = [Double](repeating: 0, count: count)
        for match in try corpus.termIndex.search(queryTokens: asked, limit: count) {
            shared[Int(match.rowid) - 1] = match.score
        }
        let pairCounts = try overlap.pairCounts(in: (1...Int64(count)).map { $0 })
        let plain = combined(values, shared)
        let zeros = Matrix(rows: 1, columns: 64)
        let vector = zeros.withSpan { SignSketch(segments: 1, entries: 64).query(of: $0) }
        for (direction, limit) in [(InfluenceQuery.Direction.positive, 5), (.negative, 7), (.both, 9), (.both, 1)] {
            for within in [nil, [2...20, 40...50]] as [[ClosedRange<Int64>]?] {
                let query = GradientIndex.Query(
                    vector: vector, limit: limit, direction: direction, overlap: overlap, within: within)
                var matches = DirectedMatches(query, of: count)
                try CombinedSearch(estimates: Estimates(parts: parts, count: count), overlap: overlap)
                    .insert(into: &matches, for: query)
                // Pairs count only for sequences on the shortlist.
                var shortlist = DirectedMatches(query, of: count, times: CombinedSearch.shortlist)
                shortlist.insert(plain.map(\.0), opponents: plain.map(\.1), firstRowid: 1)
                let chosen = Set(shortlist.rowids)
                let counts = pairCounts.enumerated().map { chosen.contains(Int64($0 + 1)) ? $1 : 0 }
                let all = combined(values, shared, pairs: counts)
                var expected = DirectedMatches(query, of: count)
                expected.insert(all.map(\.0), opponents: all.map(\.1), firstRowid: 1)
                #expect(matches.rowids == expected.rowids)
            }
        }
    }

    @Test("lets a pair of tokens that ends in the completion outweigh a small difference, and not a large one")
    func pairs() throws {
        let sequences: [[Int32]] = [[1, 2, 3], [3, 2, 1], [9, 1, 2, 3, 1, 2], [], [2]]
        let asked: [LexicalOverlap.Pair] = [.init(first: 1, second: 2), .init(first: 2, second: 3)]
        let overlap = LexicalOverlap(
            scores: { throw CancellationError() }, pairs: Set(asked),
            tokens: { rowids in rowids.map { sequences[Int($0) - 1] } })
        let counts = try overlap.pairCounts(in: [1, 2, 3, 4, 5])
        #expect(counts == [2, 0, 2, 0, 0], "the first has both, the third too, and what comes twice counts once")
        let none = LexicalOverlap(
            scores: { throw CancellationError() }, pairs: [], tokens: { _ in throw CancellationError() })
        #expect(try none.pairCounts(in: [1, 2]) == [0, 0], "nothing is read where there is nothing to look for")

        let scores = combined([0, 1, 2, 3, 40], [0, 0, 0, 0, 0], pairs: [1, 0, 0, 0, 0])
        #expect(scores.indices.sorted { scores[$0].0 > scores[$1].0 } == [4, 0, 3, 2, 1])
        #expect(scores.indices.sorted { scores[$0].1 > scores[$1].1 } == [0, 1, 2, 3, 4])
    }

    @Test("looks for each of the completion's tokens behind the one before it")
    func pairsOfCompletion() throws {
        let tiny = try TinyEngine(index: Self.complete)
        let query = TinyEngine.query()
        let tokenized = try tiny.engine.tokenize(query).parts[0].completion
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

    private func extend(
        _ index: GradientIndex, of tiny: TinyEngine, step: @Sendable () throws -> Void = {}
    ) throws {
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
        // As if the process had died while it wrote the records after the seventh.
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
        let result = try #require(engine.answer([query(limit: 10)]).first).get()
        #expect(result.candidates.considered == 9)
        #expect(!ids(result).contains("text-2"))
    }
}
