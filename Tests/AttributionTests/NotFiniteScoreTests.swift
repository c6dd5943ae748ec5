import Foundation
import TestSupport
import Testing

@testable import Attribution

@Suite("A score that is not finite")
struct NotFiniteScoreTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine(batchTokens: 1) }

    /// Answers as if the model overflowed on some sequences.
    private func answer(
        _ query: InfluenceQuery, overflowingOn rowids: [Int64], with total: Double
    ) throws -> InfluenceResult {
        let checkpoint = ChosenScores(of: try tiny.engine.corpus.tokens(rowids: rowids), total: total)
        return try tiny.engine.answer([query], checkpoint: checkpoint)[0].get()
    }

    @Test(
        "is counted, and is in no ranking, distribution or sum of sources",
        arguments: [Double.nan, .infinity, -.infinity], [0, 10])
    func ranking(total: Double, rescore: Int) throws {
        let query = TinyEngine.query(rescore: rescore)
        let undisturbed = try tiny.answer(query)
        #expect(undisturbed.candidates.notFinite == 0)
        let overflowing: [Int64] = [1, 8, 20]
        let found = try answer(query, overflowingOn: overflowing, with: total)
        #expect(found.candidates.considered == 60 && found.candidates.notFinite == 3)
        let missing = Set(overflowing.map { "text-\($0 - 1)" })
        // Sequences that are scored again can swap ranks with others.
        let remaining = undisturbed.sequences.map(\.id).filter { !missing.contains($0) }
        #expect(Set(found.sequences.map(\.id)) == Set(remaining))
        if rescore == 0 { #expect(found.sequences.map(\.id) == remaining) }
        #expect(found.distribution?.sequences == 57)
        #expect(found.sources?.reduce(0) { $0 + $1.sequences } == 57)
        #expect(try JSONEncoder().encode(found).count > 0, "JSON has no infinity and no NaN")
    }

    @Test("of a given text leaves the text out, and the others keep their index")
    func givenTexts() throws {
        let texts = ["The heaven and the earth.", "And God said, Let there be light.", "In the beginning."]
        var query = TinyEngine.query()
        query.candidates = CandidateSelection(texts: texts)
        let tokens = try tiny.engine.tokenize(query).texts
        let checkpoint = ChosenScores(of: [tokens[1]], total: .nan)
        let found = try tiny.engine.answer([query], checkpoint: checkpoint)[0].get()
        #expect(found.sequences.compactMap(\.index).sorted() == [0, 2])
        #expect(found.candidates.considered == 3 && found.candidates.notFinite == 1)
    }

    @Test("is as final as any other: it is taken from a checkpoint, and not computed again")
    func checkpoint() throws {
        let query = TinyEngine.query(rescore: 0)
        let before = tiny.engine.tally.sequences
        _ = try answer(query, overflowingOn: [1, 8, 20], with: .nan)
        let swept = tiny.engine.tally.sequences - before
        _ = try answer(query, overflowingOn: [], with: .nan)
        let whole = tiny.engine.tally.sequences - before - swept
        // Each is passed over in the sweep, and when the returned scores are broken down.
        #expect(whole - swept >= 3)
    }

    @Test("is told of a query's own completion, too")
    func completion() throws {
        var gradient = try tiny.engine.gradients(of: [tiny.engine.tokenize(TinyEngine.query())])[0]
        #expect(gradient.hasFiniteMeasurement)
        gradient.measurement = -.infinity
        #expect(!gradient.hasFiniteMeasurement)
    }
}
