import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Attribution

@Suite("What a prefilter has missed")
struct PrefilterBiasTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine() }

    private func query(probe: Int?, seed: UInt64? = nil, limit: Int = 12, topK: Int = 5) -> InfluenceQuery {
        var query = TinyEngine.query()
        query.topK = topK
        query.candidates = CandidateSelection(prefilter: .tfidf, limit: limit, probe: probe, probeSeed: seed)
        return query
    }

    private func scores() throws -> [String: Double] {
        let all = try tiny.answer(TinyEngine.query(rescore: 100)).sequences
        return Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0.score) })
    }

    @Test("is known exactly where every other sequence is drawn")
    func census() throws {
        let all = try scores()
        let result = try tiny.answer(query(probe: 1_000, limit: 20, topK: 100))
        let bias = try #require(result.prefilterBias)
        let inside = Set(result.sequences.map(\.id))
        let outside = all.filter { !inside.contains($0.key) }
        #expect(bias.sampled == all.count - 20 && bias.outside == bias.sampled)
        let positive = outside.values.filter { $0 > 0 }.reduce(0, +)
        let total = all.values.filter { $0 > 0 }.reduce(0, +)
        #expect(abs(bias.positiveOutside - positive) <= 1e-4 * total)
        #expect(bias.positiveOutsideError == 0 && bias.missedShareError == 0)
        #expect(abs(try #require(bias.missedShare) - positive / total) <= 1e-4)
    }

    @Test("names the drawn sequences that would have been returned, with their rank and their score in full")
    func found() throws {
        let all = try scores()
        let result = try tiny.answer(query(probe: 1_000))
        let bias = try #require(result.prefilterBias)
        let returned = result.sequences
        let chosen = Set(try tiny.answer(query(probe: nil, topK: 100)).sequences.map(\.id))
        let lowest = try #require(returned.filter { $0.score > 0 }.map(\.score).min())
        let highest = try #require(returned.filter { $0.score < 0 }.map(\.score).max())
        let proponents = returned.count { $0.score > 0 }
        let opponents = returned.count { $0.score < 0 }
        let expected = all.filter { id, score in
            let isProponent = score > 0 && (score > lowest || proponents < 5)
            let isOpponent = score < 0 && (score < highest || opponents < 5)
            return !chosen.contains(id) && (isProponent || isOpponent)
        }
        #expect(bias.wouldRank == expected.count && bias.wouldRank > 0)
        #expect(Set(bias.found.map(\.id)).isSubset(of: expected.keys) && !bias.found.isEmpty)
        let largest = all.values.reduce(0) { max($0, abs($1)) }
        for probe in bias.found {
            #expect(abs(probe.score - (all[probe.id] ?? .nan)) <= 1e-4 * largest)
            let better = returned.filter { probe.score > 0 ? $0.score > probe.score : $0.score < probe.score }
            #expect(probe.rank == better.count + 1)
            #expect(probe.source == (Int(probe.id.dropFirst(5)).map { $0 % 2 == 0 ? "even" : "odd" }))
        }
    }

    @Test("is estimated beside the result, and changes nothing of it")
    func independence() throws {
        let without = try tiny.answer(query(probe: nil))
        let with = try tiny.answer(query(probe: 20))
        #expect(without.prefilterBias == nil && with.prefilterBias?.sampled == 20)
        #expect(with.sequences.map(\.id) == without.sequences.map(\.id))
        #expect(with.candidates == without.candidates)
        let largest = without.sequences.reduce(0) { max($0, abs($1.score)) }
        for (a, b) in zip(with.sequences, without.sequences) { #expect(abs(a.score - b.score) <= 1e-5 * largest) }
        #expect(with.distribution?.sequences == without.distribution?.sequences)
    }

    @Test("is estimated from other sequences with another seed, and from the same with the same")
    func seeds() throws {
        let first = try tiny.answer(query(probe: 10)).prefilterBias
        #expect(try tiny.answer(query(probe: 10)).prefilterBias == first)
        #expect(try tiny.answer(query(probe: 10, seed: 1)).prefilterBias != first)
    }

    @Test("is estimated without bias: over many samples the mean is the truth, and its spread the error told")
    func estimator() throws {
        var random = SplitMix64(seed: 1)
        let all = (0..<400).map { _ in Double.random(in: -1...1, using: &random) }
        let truth = all.reduce(0) { $0 + max($1, 0) }
        let estimates = (0..<400).map { _ in
            PrefilterBias(
                sample: Array(all.shuffled(using: &random).prefix(50)), outside: all.count, inside: 10, wouldRank: 0,
                found: [])
        }
        let mean = estimates.reduce(0) { $0 + $1.positiveOutside } / 400
        let error = estimates.reduce(0) { $0 + $1.positiveOutsideError } / 400
        let spread = (estimates.reduce(0) { $0 + pow($1.positiveOutside - mean, 2) } / 399).squareRoot()
        #expect(abs(mean - truth) < 4 * spread / 20)
        #expect(abs(error / spread - 1) < 0.15)
        #expect(PrefilterBias(sample: [], outside: 0, inside: 0, wouldRank: 0, found: []).missedShare == nil)
    }

    @Test("is nothing where every sequence is scored")
    func nothing() throws {
        var query = TinyEngine.query()
        query.candidates.probe = 10
        let bias = try #require(try tiny.answer(query).prefilterBias)
        #expect(bias.sampled == 0 && bias.outside == 0 && bias.missedShare == 0 && bias.found.isEmpty)
    }
}
