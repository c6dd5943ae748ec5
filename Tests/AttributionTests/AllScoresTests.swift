import Foundation
import TestSupport
import Testing

@testable import Attribution

@Suite("The scores of all candidates")
struct AllScoresTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine(batchTokens: 1) }

    @Test("have every candidate once, in the corpus's order, with the ranking's own numbers")
    func complete() throws {
        var query = TinyEngine.query(rescore: 5)
        query.direction = .both
        #expect(try tiny.answer(query).allScores == nil)
        query.allScores = true
        let found = try tiny.answer(query)
        let scores = try #require(found.allScores)
        #expect(scores.rowids == Array(1...60) && scores.count == found.candidates.considered)
        // Five in each direction, and those that came to be among them after the others were scored again.
        #expect((10...20).contains(scores.isRescored.filter(\.self).count))
        let ids = try tiny.engine.identifiers(rowids: scores.rowids)
        #expect(ids == (0..<60).map { "text-\($0)" })
        let byID = Dictionary(uniqueKeysWithValues: zip(ids, scores.scores))
        #expect(!found.sequences.isEmpty)
        for sequence in found.sequences { #expect(byID[sequence.id] == sequence.score) }
    }

    @Test("include those of zero, which no ranking shows, and those that are not finite")
    func zero() throws {
        var query = TinyEngine.query(rescore: 0)
        query.direction = .both
        query.allScores = true
        for total in [0, Double.nan] {
            let checkpoint = ChosenScores(of: try tiny.engine.corpus.tokens(rowids: [8]), total: total)
            let found = try tiny.engine.answer([query], checkpoint: checkpoint)[0].get()
            #expect(!found.sequences.contains { $0.id == "text-7" })
            let scores = try #require(found.allScores)
            #expect(scores.count == 60)
            #expect(scores.rowids[7] == 8 && (scores.scores[7] == total || (scores.scores[7].isNaN && total.isNaN)))
        }
    }

    @Test("are refused beside texts")
    func texts() throws {
        var query = TinyEngine.query()
        query.candidates = CandidateSelection(texts: ["In the beginning."])
        query.allScores = true
        #expect {
            try tiny.engine.validate(query)
        } throws: { error in
            guard case QueryError.unusable("all_scores", _) = error else { return false }
            return true
        }
    }

    @Test("are asked for by a member of the query, which is not written unless it is true")
    func coding() throws {
        let json = """
            {"prompt": "a", "completion": "b", "all_scores": true}
            """
        let query = try JSONDecoder().decode(InfluenceQuery.self, from: Data(json.utf8))
        #expect(query.allScores)
        let written = String(decoding: try JSONEncoder().encode(query), as: UTF8.self)
        #expect(written.contains("\"all_scores\":true"))
        #expect(!String(decoding: try JSONEncoder().encode(TinyEngine.query()), as: UTF8.self).contains("all_scores"))
    }
}
