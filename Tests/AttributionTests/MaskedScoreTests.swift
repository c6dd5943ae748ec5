import Curvature
import Foundation
import LinearAlgebra
import Sequences
import TestSupport
import Testing
import Transformer

@testable import Attribution
@testable import Curvature

/// A tiny model with masked sequences, and the scores that plain autograd in double precision found (`scripts/fixtures/masked.py`).
private struct MaskedOracle {
    let decoder: DecoderModel
    let sequences: [TrainingSequence]
    let queries: [(tokens: [Int32], completionStart: Int)]
    private let file: SafetensorsFile

    static let models = ["gpt2", "llama-grouped-tied", "qwen2", "gpt-neox"]

    init(_ model: String) throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        decoder = try Checkpoint.loadDecoder(
            folder: tests.appendingPathComponent("TransformerTests/Fixtures/models/\(model)").path)
        file = try SafetensorsFile(path: tests.appendingPathComponent("Fixtures/masked/\(model).safetensors").path)
        let tokens = try file.integers("tokens")
        sequences = zip(tokens, try file.integers("mask")).map { row, mask in
            let length = row.firstIndex(of: -1) ?? row.count
            return TrainingSequence(tokens: Array(row[..<length]), loss: LossMask(mask[..<length].map { $0 == 1 }))
        }
        queries = zip(try file.integers("queries"), try file.doubles(named: "starts")).map { row, start in
            (Array(row[..<(row.firstIndex(of: -1) ?? row.count)]), Int(start))
        }
    }

    /// The expected scores, one list per query.
    func expected(_ name: String) throws -> [[Double]] {
        let values = try file.doubles(named: name)
        let width = values.count / queries.count
        return queries.indices.map { Array(values[($0 * width)..<(($0 + 1) * width)]) }
    }

    func fit(sampled: Bool, _ sequences: [TrainingSequence]) throws -> EKFACFactors {
        let labels = [try file.integers("covariance_labels"), try file.integers("eigenvalue_labels")]
        let fit = FactorFit(
            decoder: decoder, modelDigest: "",
            source: FactorFit.Source(count: sequences.count, digest: "") { Array(sequences[$0]) }, fisher: .empirical)
        guard sampled else { return try fit.run() }
        return try fit.with { .given(labels[$0 == .covariances ? 0 : 1][$1]) }.run()
    }

    func scores(
        _ factors: EKFACFactors, of sequences: [TrainingSequence], breakdown: CandidateSweep.Breakdown = []
    ) throws -> [[SequenceScore]] {
        let sweep = CandidateSweep(decoder: decoder, tracked: factors.tracked) { $0.map { sequences[Int($0)] } }
        let preconditioned = try queries.map { query in
            var workspace = DecoderWorkspace()
            let gradient = QueryGradient(
                tokens: query.tokens, completionStart: query.completionStart, decoder: decoder,
                tracked: factors.tracked, workspace: &workspace)
            return PreconditionedQuery(
                layers: try zip(gradient.layers, factors.layers).map {
                    try PreconditionedLayer($0, factors: $1, damping: nil, rank: .full)
                })
        }
        let rows = try sweep.scores(
            of: sequences.indices.map(Int64.init), queries: preconditioned, breakdown: breakdown)
        return queries.indices.map { query in rows.map { $0[query] } }
    }
}

extension SafetensorsFile {
    /// A matrix of whole numbers, row by row.
    fileprivate func integers(_ name: String) throws -> [[Int32]] {
        let matrix = try matrix(named: name)
        return (0..<matrix.rows).map { row in (0..<matrix.columns).map { Int32(matrix[row, $0]) } }
    }
}

@Suite("Scores of sequences with a loss mask") struct MaskedScoreTests {
    private func expectAgreement(_ found: [[Double]], _ expected: [[Double]]) {
        #expect(found.count == expected.count)
        for (ours, theirs) in zip(found, expected) {
            let agreement = Agreement(ours, theirs)
            #expect(agreement.correlation >= 0.99999 && agreement.largestDifference <= 1e-3, "\(agreement)")
        }
    }

    @Test("are those of plain autograd in double precision", arguments: MaskedOracle.models)
    func empirical(_ model: String) throws {
        let oracle = try MaskedOracle(model)
        let factors = try oracle.fit(sampled: false, oracle.sequences)
        let found = try oracle.scores(factors, of: oracle.sequences, breakdown: .tokens)
        expectAgreement(found.totals, try oracle.expected("empirical"))
        let tokens = found.map { row in
            row.flatMap { score in
                let tokens = score.tokens ?? []
                return tokens + [Double](repeating: 0, count: 14 - tokens.count)
            }
        }
        expectAgreement(tokens, try oracle.expected("empirical_tokens"))
        // Without masks they are other scores: the comparison can fail.
        let unmasked = oracle.sequences.map { TrainingSequence(tokens: $0.tokens) }
        let plain = try oracle.scores(factors, of: unmasked).totals
        #expect(zip(plain, try oracle.expected("empirical")).allSatisfy { Agreement($0, $1).largestDifference > 0.05 })
    }

    @Test("are those of labels drawn only where there is loss", arguments: MaskedOracle.models)
    func sampled(_ model: String) throws {
        let oracle = try MaskedOracle(model)
        let found = try oracle.scores(try oracle.fit(sampled: true, oracle.sequences), of: oracle.sequences)
        expectAgreement(found.totals, try oracle.expected("sampled"))
    }

    @Test("are bit for bit those of plain sequences if every token carries loss", arguments: MaskedOracle.models)
    func allTokens(_ model: String) throws {
        let oracle = try MaskedOracle(model)
        let plain = oracle.sequences.map { TrainingSequence(tokens: $0.tokens) }
        let masked = plain.map { TrainingSequence(tokens: $0.tokens, loss: LossMask([0..<$0.count])) }
        let factors = try oracle.fit(sampled: false, plain)
        let same = try oracle.fit(sampled: false, masked)
        let found = try oracle.scores(same, of: masked, breakdown: .tokens)
        let expected = try oracle.scores(factors, of: plain, breakdown: .tokens)
        #expect(found.totals == expected.totals)
        #expect(found.map { $0.map(\.tokens) } == expected.map { $0.map(\.tokens) })
    }

    @Test("belong to keys of their own, as sequences do whose loss is elsewhere")
    func keys() {
        let plain = TrainingSequence(tokens: [1, 2, 3, 4])
        let masked = TrainingSequence(tokens: [1, 2, 3, 4], loss: LossMask([2..<4]))
        let other = TrainingSequence(tokens: [1, 2, 3, 4], loss: LossMask([1..<2, 3..<4]))
        #expect(Set([plain, masked, other].map(ContentKey.init(sequence:))).count == 3)
        #expect(Set([plain, masked, other].map(GradientIndexFile.hash(of:))).count == 3)
    }
}
