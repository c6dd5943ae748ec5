import Curvature
import Foundation
import LinearAlgebra
import Sequences
import TestSupport
import Testing
import Transformer

@testable import Attribution
@testable import Curvature

/// A tiny model with masked sequences, and the scores that plain autograd in double precision found (`scripts/fixtures/masked.py` and
/// `experts.py`).
struct ScoreOracle {
    typealias Query = (tokens: [Int32], completionStart: Int)

    let decoder: DecoderModel
    let sequences: [TrainingSequence]
    let queries: [Query]
    private let file: SafetensorsFile

    /// - Parameter folder: The folder of `Tests/Fixtures` that has the scores.
    init(_ model: String, in folder: String) throws {
        var tests = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { tests.deleteLastPathComponent() }
        decoder = try Checkpoint.loadDecoder(
            folder: tests.appendingPathComponent("TransformerTests/Fixtures/models/\(model)").path)
        file = try SafetensorsFile(path: tests.appendingPathComponent("Fixtures/\(folder)/\(model).safetensors").path)
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
    func expected(_ name: String) throws -> [[Double]] { try expected(name, rows: queries.count) }

    /// The expected values of some rows.
    func expected(_ name: String, rows: Int) throws -> [[Double]] {
        let values = try file.doubles(named: name)
        let width = values.count / rows
        return (0..<rows).map { Array(values[($0 * width)..<(($0 + 1) * width)]) }
    }

    /// A matrix of token ids.
    func tokens(_ name: String) throws -> [[Int32]] { try file.integers(name) }

    func fit(sampled: Bool, _ sequences: [TrainingSequence]) throws -> EKFACFactors {
        let labels = [try file.integers("covariance_labels"), try file.integers("eigenvalue_labels")]
        let fit = FactorFit(
            decoder: decoder, modelDigest: "",
            source: FactorFit.Source(count: sequences.count, digest: "") { Array(sequences[$0]) }, fisher: .empirical)
        guard sampled else { return try fit.run() }
        return try fit.with { .given(labels[$0 == .covariances ? 0 : 1][$1]) }.run()
    }

    func scores(
        _ factors: EKFACFactors, of sequences: [TrainingSequence], breakdown: CandidateSweep.Breakdown = [],
        for queries: [Query]? = nil, rank: InfluenceQuery.Rank = .full, batchTokens: Int? = nil,
        wanted: [[Int]]? = nil
    ) throws -> [[SequenceScore]] {
        let queries = queries ?? self.queries
        let sweep = CandidateSweep(decoder: decoder, tracked: factors.tracked, batchTokens: batchTokens) {
            $0.map { sequences[Int($0)] }
        }
        let preconditioned = try queries.map { query in
            var workspace = DecoderWorkspace()
            let gradient = QueryGradient(
                tokens: query.tokens, completionStart: query.completionStart, decoder: decoder,
                tracked: factors.tracked, workspace: &workspace)
            return PreconditionedQuery(
                layers: try zip(gradient.layers, factors.layers).map {
                    try PreconditionedLayer($0, factors: $1, damping: nil, rank: rank)
                })
        }
        let rows = try sweep.scores(
            of: sequences.indices.map(Int64.init), queries: preconditioned, breakdown: breakdown, wanted: wanted)
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

func expectAgreement(_ found: [[Double]], _ expected: [[Double]]) {
    #expect(found.count == expected.count)
    for (ours, theirs) in zip(found, expected) {
        let agreement = Agreement(ours, theirs)
        #expect(agreement.correlation >= 0.99999 && agreement.largestDifference <= 1e-3, "\(agreement)")
    }
}
