import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Attribution

@Suite("The distribution of scores")
struct ScoreDistributionTests {
    @Test("counts every score once, in bars from the lowest to the highest")
    func histogram() throws {
        var random = SplitMix64(seed: 3)
        let scores = (0..<1_000).map { _ in Double.random(in: -2...5, using: &random) }
        let distribution = try #require(ScoreDistribution(scores))
        #expect(distribution.sequences == 1_000)
        #expect(distribution.counts.reduce(0, +) == 1_000)
        #expect(distribution.bounds.count == distribution.counts.count + 1)
        #expect(distribution.bounds == distribution.bounds.sorted())
        #expect(distribution.bounds.first == scores.min())
        #expect(distribution.bounds.last == scores.max())
        for (bar, count) in distribution.counts.enumerated() {
            let (low, high) = (distribution.bounds[bar], distribution.bounds[bar + 1])
            let isLast = bar == distribution.counts.count - 1
            // A score within rounding of a bound can be counted on either side of it.
            let inside = scores.count { $0 >= low && (isLast ? $0 <= high : $0 < high) }
            #expect(abs(inside - count) <= 1)
        }
    }

    @Test("tells mean and standard deviation")
    func moments() throws {
        let distribution = try #require(ScoreDistribution([1, 2, 3, 6]))
        #expect(distribution.mean == 3)
        #expect(abs(distribution.standardDeviation - 3.5.squareRoot()) < 1e-12)
    }

    @Test("tells what share the strongest hold of the positive influence, and of no part of a sequence")
    func shares() throws {
        // One sequence of a hundred has half of all positive influence.
        let scores = [99.0] + [Double](repeating: 1, count: 99) + [Double](repeating: -3, count: 100)
        let distribution = try #require(ScoreDistribution(scores.shuffled()))
        let shares = try #require(distribution.shares)
        #expect(shares.map(\.part) == [0.01, 0.1])
        #expect(shares.map(\.sequences) == [2, 20])
        #expect(abs(shares[0].share - 100.0 / 198) < 1e-12)
        #expect(abs(shares[1].share - 118.0 / 198) < 1e-12)
        #expect(ScoreDistribution([-1, -2])?.shares == [])
    }

    @Test("has no tail where proponents are few or all alike, and nothing at all without scores")
    func degenerate() throws {
        #expect(ScoreDistribution([]) == nil)
        #expect(ScoreDistribution([.nan, 1]) == nil)
        #expect(try #require(ScoreDistribution((1...39).map(Double.init))).powerLaw == nil)
        #expect(try #require(ScoreDistribution((1...400).map { -Double($0) })).powerLaw == nil)
        let alike = try #require(ScoreDistribution([Double](repeating: 2, count: 100)))
        #expect(alike.powerLaw == nil)
        #expect(alike.counts == [100])
        #expect(alike.bounds == [2, 2])
    }

    @Test("does not depend on the order of the scores")
    func order() {
        let scores = (0..<200).map { sin(Double($0) * 1.7) * 100 }
        #expect(ScoreDistribution(scores)?.powerLaw == ScoreDistribution(scores.reversed())?.powerLaw)
        #expect(ScoreDistribution(scores)?.counts == ScoreDistribution(scores.reversed())?.counts)
    }

    @Test("that an earlier version has stored is read without what it lacks")
    func earlierVersions() throws {
        let stored = """
            {"sequences": 2, "mean": 1, "standard_deviation": 1, "bounds": [0, 1, 2], "counts": [1, 1],
             "tail": {"exponent": 1.5, "from": 1, "sequences": 10}}
            """
        let distribution = try JSONDecoder().decode(ScoreDistribution.self, from: Data(stored.utf8))
        #expect(distribution.counts == [1, 1] && distribution.powerLaw == nil && distribution.shares == nil)
    }

    @Test("is that of all candidates in an engine's result")
    func engine() throws {
        let tiny = try TinyEngine()
        let answers = tiny.engine.answer([TinyEngine.query()])
        let result = try #require(answers.first).get()
        let distribution = try #require(result.distribution)
        let scores = result.sequences.map(\.score)
        #expect(distribution.sequences == result.candidates.considered)
        #expect(distribution.bounds.last == scores.max())
        #expect(distribution.bounds.first == scores.min())
    }
}
