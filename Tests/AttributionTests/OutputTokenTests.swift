import Curvature
import Foundation
import TestSupport
import Testing
import Transformer

@testable import Attribution

@Suite("Influence by output token")
struct OutputTokenTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine() }

    private func answer(_ change: (inout InfluenceQuery) -> Void = { _ in }) throws -> InfluenceResult {
        var query = TinyEngine.query(rescore: 100)
        query.topK = 6
        query.attribution = InfluenceQuery.Breakdown(tokens: true, outputTokens: true)
        change(&query)
        return try tiny.answer(query)
    }

    @Test("adds up to the score with the gradient as it is, one for each token but the first, which nothing predicts")
    func sums() throws {
        let result = try answer()
        let largest = result.sequences.reduce(0) { max($0, abs($1.score)) }
        #expect(result.sequences.count == 12)
        for sequence in result.sequences {
            let tokens = try #require(sequence.outputTokens)
            #expect(tokens.map(\.text) == sequence.tokens?.map(\.text))
            #expect(tokens.first?.score == 0)
            #expect(abs(tokens.reduce(0) { $0 + $1.score } - sequence.score) <= 1e-4 * largest)
            // A token's own influence differs from the change of its probability.
            #expect(tokens.map(\.score) != sequence.tokens?.map(\.score))
        }
    }

    @Test("of a contrast, of given texts and in a low rank adds up to the score in full too")
    func otherQueries() throws {
        let contrast = try answer { $0.contrast = " the sea." }
        let given = try answer { $0.candidates = CandidateSelection(texts: Array(tiny.texts.prefix(4))) }
        for result in [contrast, given] {
            let largest = result.sequences.reduce(0) { max($0, abs($1.score)) }
            for sequence in result.sequences {
                let sum = try #require(sequence.outputTokens).reduce(0) { $0 + $1.score }
                #expect(abs(sum - sequence.score) <= 1e-4 * largest)
            }
        }
        let full = try answer()
        let compressed = try answer { ($0.rescore, $0.rank) = (0, .limited(1)) }
        for sequence in compressed.sequences {
            guard let same = full.sequences.first(where: { $0.id == sequence.id }) else { continue }
            #expect(sequence.score != same.score)
            #expect(sequence.outputTokens == same.outputTokens)
        }
    }

    @Test("is there only where asked for")
    func absence() throws {
        #expect(try answer { $0.attribution.outputTokens = false }.sequences.allSatisfy { $0.outputTokens == nil })
    }

    @Test("ends for a query that is cancelled, and not for the others")
    func cancellation() throws {
        var query = TinyEngine.query(rescore: 2)
        query.topK = 3
        query.attribution.outputTokens = true
        let counter = StepCounter()
        // Each query returns six sequences, which are scored before their tokens are.
        let answers = tiny.engine.answer(
            [query, query],
            control: WorkControl(
                progress: { counter.note($0) },
                isCancelled: { $0 == 0 && counter.latest?.stage == .rescore && (counter.latest?.done ?? 0) > 7 }))
        #expect(throws: QueryError.cancelled) { try answers[0].get() }
        #expect(try answers[1].get().sequences.allSatisfy { $0.outputTokens != nil })
    }
}
