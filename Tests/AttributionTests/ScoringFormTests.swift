import Curvature
import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Attribution

@Suite("The forms of scoring")
struct ScoringFormTests {
    private let scores: OracleScores
    private let factors: EKFACFactors
    private let candidates = (0..<40).map(Int64.init)

    init() throws {
        scores = try OracleScores(Oracle.all[1])
        factors = try scores.kronfluenceFactors()
    }

    private var sweep: CandidateSweep {
        let sequences = scores.sequences
        return CandidateSweep(decoder: scores.checkpoint.decoder, tracked: factors.tracked) {
            $0.map { sequences[Int($0)] }
        }
    }

    private func expectAgreement(_ found: [[SequenceScore]], _ expected: [[SequenceScore]]) {
        for column in expected[0].indices {
            let agreement = Agreement(found.map { $0[column].total }, expected.map { $0[column].total })
            #expect(agreement.largestDifference < 1e-5)
        }
    }

    @Test("give the same scores, in all and by layer", arguments: [InfluenceQuery.Rank.limited(8), .full])
    func agreement(rank: InfluenceQuery.Rank) throws {
        let preconditioned = try scores.preconditioned(factors, rank: rank)
        let queries = (0..<12).map { preconditioned[$0 % preconditioned.count] }
        let tokens = try sweep.scores(of: candidates, queries: queries, breakdown: [.layers, .concentration])
        let gradients = try sweep.scores(of: candidates, queries: queries, breakdown: .layers)
        #expect(tokens.joined().allSatisfy { $0.tokenConcentration != nil })
        #expect(gradients.joined().allSatisfy { $0.tokenConcentration == nil && $0.tokens == nil })
        expectAgreement(gradients, tokens)
        for (found, expected) in zip(gradients.joined(), tokens.joined()) {
            let largest = (expected.layers ?? []).map(abs).max() ?? 0
            #expect(found.layers?.count == factors.tracked.layers.count)
            for (a, b) in zip(found.layers ?? [], expected.layers ?? []) { #expect(abs(a - b) < 1e-4 * largest) }
        }
    }

    @Test("leave out pairs that are not wanted, and only those", arguments: [false, true])
    func wanted(tokenByToken: Bool) throws {
        let preconditioned = try scores.preconditioned(factors, rank: .full)
        let queries = (0..<12).map { preconditioned[$0 % preconditioned.count] }
        let breakdown: CandidateSweep.Breakdown = tokenByToken ? .concentration : []
        let all = try sweep.scores(of: candidates, queries: queries, breakdown: breakdown)
        let wanted = queries.indices.map { query in candidates.indices.filter { ($0 + query) % 3 == 0 || $0 < query } }
        let some = try sweep.scores(of: candidates, queries: queries, breakdown: breakdown, wanted: wanted)
        for query in queries.indices {
            let own = Set(wanted[query])
            let largest = all.map { abs($0[query].total) }.max() ?? 0
            for candidate in candidates.indices {
                let score = some[candidate][query]
                #expect(score.isScored == own.contains(candidate))
                if score.isScored { #expect(abs(score.total - all[candidate][query].total) < 1e-5 * largest) }
            }
        }
    }

    @Test("are chosen by their cost")
    func cost() {
        func form(
            tokens: Double = 128, rank: Int = 0, full: Double = 0, queries: Int, width: Int = 512
        ) -> ScoringForm {
            ScoringCost(
                tokens: tokens, totalRank: rank, fullQueries: full, queries: queries,
                layers: [(inputs: width, outputs: 4 * width, share: 1)]
            ).cheapest
        }
        // rank · (in + out) against in · out.
        #expect(form(rank: 32, queries: 1) == .tokens)
        #expect(form(rank: 320, queries: 10) == .tokens)
        #expect(form(rank: 1_280, queries: 40) == .gradients)
        #expect(form(rank: 320, queries: 10, width: 128) == .gradients)
        // A full query costs what a gradient costs.
        #expect(form(full: 1, queries: 1) == .tokens)
        #expect(form(full: 2, queries: 2) == .gradients)
        // For short sequences the inner products weigh more.
        #expect(form(tokens: 4, full: 3, queries: 3) == .tokens)
        // Many queries, few of which want a given sequence.
        #expect(form(full: 1, queries: 20) == .tokens)
        // Whole queries that would not fit in memory.
        #expect(form(rank: 6_400, queries: 200, width: 1_024) == .tokens)
    }

    @Test("count the multiply-adds of each layer")
    func multiplyAdds() {
        let cost = ScoringCost(
            tokens: 10, totalRank: 6, fullQueries: 2, queries: 5,
            layers: [(inputs: 3, outputs: 4, share: 1), (inputs: 4, outputs: 2, share: 0.25)])
        let (first, second) = (10 * 6 * 7 + 10 * 2 * 12, 2.5 * Double(6 * 6 + 2 * 8))
        #expect(cost.tokenForm == Double(first) + second)
        let dots = ScoringCost.thinProduct * 5
        #expect(cost.gradientForm == 12 * (10 + dots) + 8 * (2.5 + dots))
    }
}

@Suite("Pairs of queries and candidates")
struct WantedPairsTests {
    @Test("are found by candidate")
    func byCandidate() throws {
        let pairs = try #require(WantedPairs([[0, 3], [], [3, 1]], of: 4))
        #expect((0..<4).map { pairs[$0] } == [[0], [2], [], [0, 2]])
        #expect((0..<4).map { pairs.isWanted($0) } == [true, true, false, true])
        #expect(pairs.count == 4)
    }

    @Test("need no table where all are wanted")
    func all() {
        #expect(WantedPairs([[0, 1], [0, 1]], of: 2) == nil)
        #expect(WantedPairs([], of: 2) == nil)
    }
}
