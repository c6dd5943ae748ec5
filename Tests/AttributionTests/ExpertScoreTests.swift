import Foundation
import LinearAlgebra
import Sequences
import TestSupport
import Testing
import Transformer

@testable import Attribution
@testable import Curvature

@Suite("Scores through mixtures of experts")
struct ExpertScoreTests {
    static let models = ["mixtral", "olmoe", "qwen2-moe", "qwen3-moe"]

    private func oracle(_ model: String) throws -> ScoreOracle { try ScoreOracle(model, in: "experts") }

    @Test("are those of plain autograd in double precision, in total, by token and by layer", arguments: models)
    func empirical(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let found = try oracle.scores(factors, of: oracle.sequences, breakdown: [.tokens, .layers])
        expectAgreement(found.totals, try oracle.expected("empirical"))
        let tokens = found.map { row in
            row.flatMap { score in
                let tokens = score.tokens ?? []
                return tokens + [Double](repeating: 0, count: 14 - tokens.count)
            }
        }
        expectAgreement(tokens, try oracle.expected("empirical_tokens"))
        let layers = found.map { row in
            factors.tracked.layers.flatMap { layer in row.map { $0.layers?[layer.index] ?? .nan } }
        }
        expectAgreement(layers, try oracle.expected("layers"))
        // Factors that all experts share would be others: the comparison can fail.
        var swapped = factors.layers
        let experts = factors.tracked.layers.filter {
            $0.expert != nil && $0.name.hasSuffix(model == "mixtral" ? "w1" : "gate_proj")
        }
        let (first, second) = (try #require(experts.first).index, try #require(experts.dropFirst().first).index)
        swapped.swapAt(first, second)
        let others = EKFACFactors(tracked: factors.tracked, layers: swapped, provenance: factors.provenance)
        let wrong = try oracle.scores(others, of: oracle.sequences).totals
        #expect(zip(wrong, try oracle.expected("empirical")).allSatisfy { Agreement($0, $1).largestDifference > 2e-3 })
    }

    @Test("are those of drawn labels, in the form that sums gradients", arguments: models)
    func sampled(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: true, oracle.sequences)
        expectAgreement(try oracle.scores(factors, of: oracle.sequences).totals, try oracle.expected("sampled"))
    }

    @Test("do not depend on packing or on the form, beyond rounding, even with thin factors", arguments: models)
    func invariance(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let expected = try oracle.expected("empirical")
        for batchTokens in [1, 40] {
            for breakdown in [CandidateSweep.Breakdown.tokens, []] {
                let found = try oracle.scores(
                    factors, of: oracle.sequences, breakdown: breakdown, rank: .limited(18), batchTokens: batchTokens)
                expectAgreement(found.totals, expected)
            }
        }
    }

    @Test("of pairs that are wanted are those of all pairs", arguments: models)
    func wanted(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let all = try oracle.scores(factors, of: oracle.sequences, breakdown: .tokens)
        let wanted = oracle.queries.indices.map { query in
            oracle.sequences.indices.filter { ($0 * 7 + query) % (query + 2) == 0 }
        }
        let some = try oracle.scores(factors, of: oracle.sequences, breakdown: .tokens, wanted: wanted)
        for (query, own) in wanted.enumerated() {
            let largest = all.totals[query].map(abs).max() ?? 0
            for candidate in oracle.sequences.indices {
                let score = some[query][candidate]
                #expect(score.isScored == own.contains(candidate))
                if score.isScored { #expect(abs(score.total - all[query][candidate].total) < 1e-5 * largest) }
            }
        }
    }

    @Test("are zero through experts to which no token of the query goes", arguments: models)
    func unreached(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let pair = try #require(try oracle.tokens("short").first)
        var workspace = DecoderWorkspace()
        let gradient = QueryGradient(
            tokens: pair, completionStart: 1, decoder: oracle.decoder, tracked: factors.tracked, workspace: &workspace)
        #expect(gradient.layers.count == factors.layers.count)
        let unreached = factors.tracked.layers.filter { gradient.layers[$0.index].outputGradients.squaredNorm == 0 }
        #expect(!unreached.isEmpty && unreached.allSatisfy { $0.expert != nil })
        for rank in [InfluenceQuery.Rank.full, .limited(4), .faithful] {
            let found = try oracle.scores(
                factors, of: oracle.sequences, breakdown: [.layers, .tokens], for: [(pair, 1)], rank: rank)
            if rank == .full { expectAgreement(found.totals, try oracle.expected("first", rows: 1)) }
            for score in found.joined() {
                let layers = try #require(score.layers)
                #expect(score.isFinite && unreached.allSatisfy { layers[$0.index] == 0 })
            }
        }
    }

    @Test("of factors whose experts saw no token are zero through these, which a warning names", arguments: models)
    func unseen(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: false, Array(oracle.sequences.prefix(1)))
        let counts = try oracle.expected("tokens_of_experts", rows: 2).map { $0.map { Int($0) } }
        for (layer, own) in zip(factors.tracked.layers, factors.layers) {
            #expect(own.tokens == (layer.expert == nil ? nil : counts[1][layer.index]))
            if counts[1][layer.index] == 0 { #expect(!own.hasCurvature, "\(layer.name)") }
            #expect(own.activationVectors.isFinite && own.gradientVectors.isFinite && own.eigenvalues.isFinite)
            let values = own.activationValues + own.gradientValues
            #expect(values.allSatisfy { $0.isFinite })
        }
        let found = try oracle.scores(factors, of: oracle.sequences, breakdown: .layers)
        expectAgreement(found.totals, try oracle.expected("few"))
        for layer in factors.tracked.layers where counts[1][layer.index] == 0 {
            let name = try #require(layer.expert).name
            #expect(factors.warnings.contains { $0.contains("\(name) (none for ") }, "\(factors.warnings)")
            #expect(found.joined().allSatisfy { $0.layers?[layer.index] == 0 })
        }
        let used = factors.rarelyUsedExperts
        #expect(used.map(\.tokens) == used.map(\.tokens).sorted())
        #expect(
            used.count > EKFACFactors.namesInWarning
                || factors.warnings.contains { $0.contains("\(used[used.count - 1])") })
        // The last token has no gradient of its own: an expert of the last block that saw it alone has no curvature either.
        let unseen = factors.tracked.layers.filter { counts[1][$0.index] == 0 }.map(\.name)
        for warning in factors.warnings where warning.contains("no gradient reaches") {
            #expect(unseen.allSatisfy { !warning.contains($0) })
        }

        let whole = try oracle.fit(sampled: false, oracle.sequences)
        #expect(
            zip(whole.tracked.layers, whole.layers).allSatisfy { $0.expert == nil || $1.tokens == counts[0][$0.index] })
        #expect(whole.warnings.isEmpty && whole.rarelyUsedExperts.isEmpty)
    }

    @Test("of output tokens add up to the whole score", arguments: models)
    func outputTokens(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let query = try #require(oracle.queries.first)
        var workspace = DecoderWorkspace()
        let gradient = QueryGradient(
            tokens: query.tokens, completionStart: query.completionStart, decoder: oracle.decoder,
            tracked: factors.tracked, workspace: &workspace)
        let preconditioned = PreconditionedQuery(
            layers: try zip(gradient.layers, factors.layers).map {
                try PreconditionedLayer($0, factors: $1, damping: nil, rank: .full)
            })
        let scores = OutputTokenScores(
            decoder: oracle.decoder, tracked: factors.tracked, direction: ParameterVector(preconditioned))
        var buffers = OutputTokenScores.Buffers()
        let found = try oracle.sequences.map { try scores.scores(of: $0, in: &buffers).reduce(0, +) }
        expectAgreement([found], [try oracle.expected("empirical")[0]])
    }

    @Test("are estimated by sketches that keep what they can of each expert", arguments: models)
    func sketches(_ model: String) throws {
        let oracle = try oracle(model)
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let sketch = GradientSketch(factors: factors, layout: SketchLayout(leading: 24, signs: 1_024))
        var tap = SketchTap(sketch)
        var workspace = DecoderWorkspace()
        func records(_ sequences: ArraySlice<TrainingSequence>) -> [[UInt8]] {
            var batch = TokenBatch()
            for sequence in sequences { batch.append(sequence) }
            oracle.decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &tap)
            return tap.records
        }
        let alone = oracle.sequences.indices.flatMap { records(oracle.sequences[$0...$0]) }
        let together = records(oracle.sequences[...])
        // Rounding can turn a sign. Records of micro-batches that left something of the one before would differ in many.
        for (one, other) in zip(alone, together) {
            let differing = zip(one, other).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
            #expect(differing * 50 < one.count * 8)
        }
    }
}
