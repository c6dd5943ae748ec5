import Curvature
import Foundation
import Testing
import Transformer

@testable import Evaluation

@Suite("Sanity checks")
struct SanityChecksTests {
    private func run(dampings: [Double] = [0.01, 0.1, 1], limit: Double? = nil) throws -> SanityResult {
        let tiny = try TinySubject()
        var settings = SanityChecks.Settings()
        settings.top = 4
        settings.dampings = dampings
        return try SanityChecks(tiny.subject, TinySubject.queries, settings: settings).run(
            EvaluationControl(limit: limit))
    }

    @Test("find the ranking at the usual damping the same as itself, and another one at others")
    func stability() throws {
        let result = try run()
        #expect(result.stability.map(\.damping) == [0.01, 0.1, 1])
        let usual = result.stability[1].agreement
        #expect(usual.overlapPerQuery == [1, 1])
        #expect(usual.spearmanPerQuery.allSatisfy { abs(($0 ?? 0) - 1) < 1e-9 })
        for other in [result.stability[0], result.stability[2]] {
            #expect(try #require(other.agreement.spearman).value < 0.9999)
        }
        #expect(
            try run(dampings: [1]).stability.map(\.damping) == [0.1, 1], "there is nothing to compare with otherwise")
    }

    @Test("compare with a model that has learned nothing")
    func randomisation() throws {
        let result = try run()
        #expect(result.randomisation.spearmanPerQuery.count == 2)
        #expect(abs(try #require(result.randomisation.spearman).value) < 0.95)
        #expect(try JSONDecoder().decode(SanityResult.self, from: JSONEncoder().encode(result)) == result)
        #expect(HTMLReport(result.report).html.contains("<svg"))
    }

    @Test("count the distinct sequences at the tops")
    func cardinality() throws {
        let result = try run()
        let cardinality = result.cardinality
        #expect(cardinality.most == 8)
        let shared = cardinality.recurring.count
        #expect(cardinality.distinct == 8 - shared)
        #expect(abs(try #require(cardinality.meanOverlap) - Double(shared) / 4) < 1e-9)
        #expect(cardinality.recurring.allSatisfy { $0.queries == 2 })
    }

    @Test("refuse what takes longer than it may")
    func limit() {
        #expect(throws: EvaluationError.self) { try run(limit: 1e-9) }
    }

    @Test("take the highest scores, the first of equal ones before others", arguments: [0, 2, 9])
    func top(count: Int) {
        #expect(TopSequences(of: [1, 5, -2, 5], count: count).indices == Array([1, 3, 0, 2].prefix(count)))
        #expect(TopSequences(of: [], count: 3).share(in: TopSequences(of: [1], count: 3)) == 0)
    }
}
