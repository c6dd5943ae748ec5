import Foundation
import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Attribution
@testable import Curvature

/// A tiny adapter, random sequences and queries, and the scores that autograd derives for them in Float64 where only the adapter's
/// matrices count (scripts/fixtures/adapters.py).
struct AdapterOracle: CustomTestStringConvertible, Sendable {
    let name: String
    var testDescription: String { name }

    static let all = ["llama-patterns", "gpt2-linear", "phi-linear"].map(AdapterOracle.init)

    private var folder: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("TransformerTests/Fixtures/adapters/\(name)").path
    }

    /// The base is found by its path in the adapter's configuration.
    func decoder() throws -> DecoderModel { try Checkpoint.loadDecoder(folder: folder) }

    func expected() throws -> SafetensorsFile { try SafetensorsFile(path: folder + "/scores.safetensors") }

    func sequences(_ kind: String) throws -> [[Int32]] {
        let expected = try expected()
        let ids = try expected.doubles(named: "\(kind)_input_ids")
        let lengths = try expected.doubles(named: "\(kind)_lengths").map { Int($0) }
        let width = ids.count / lengths.count
        return lengths.enumerated().map { row, length in
            ids[(row * width)..<(row * width + length)].map { Int32($0) }
        }
    }
}

@Suite("Scores by an adapter's own matrices")
struct AdapterScoreTests {
    private func fit(_ decoder: DecoderModel, _ sequences: [[Int32]], batchTokens: Int = 1_024) throws -> EKFACFactors {
        try FactorFit(
            decoder: decoder, modelDigest: "adapter",
            source: FactorFit.Source(count: sequences.count, digest: "random") { Array(sequences[$0]) },
            fisher: .empirical, selection: .adapter, workers: Workers(count: 2), batchTokens: batchTokens
        ).run()
    }

    /// For each query, one score per sequence.
    private func scores(
        _ oracle: AdapterOracle, _ decoder: DecoderModel, _ factors: EKFACFactors, rank: InfluenceQuery.Rank = .full,
        breakdown: CandidateSweep.Breakdown = [], batchTokens: Int = 1_024
    ) throws -> [[SequenceScore]] {
        let sequences = try oracle.sequences("train")
        let starts = try oracle.expected().doubles(named: "query_starts").map { Int($0) }
        let queries = try zip(oracle.sequences("query"), starts).map { tokens, start in
            var workspace = DecoderWorkspace()
            let gradient = QueryGradient(
                tokens: tokens, completionStart: start, decoder: decoder, tracked: factors.tracked,
                workspace: &workspace)
            return PreconditionedQuery(
                layers: try zip(gradient.layers, factors.layers).map {
                    try PreconditionedLayer($0, factors: $1, damping: nil, rank: rank)
                })
        }
        let sweep = CandidateSweep(
            decoder: decoder, tracked: factors.tracked, workers: Workers(count: 2), batchTokens: batchTokens
        ) { $0.map { sequences[Int($0)] } }
        let rows = try sweep.scores(
            of: sequences.indices.map(Int64.init), queries: queries, breakdown: breakdown)
        return queries.indices.map { query in rows.compactMap { $0[query] } }
    }

    @Test("are those of autograd in double precision, in total and by matrix", arguments: AdapterOracle.all)
    func autograd(oracle: AdapterOracle) throws {
        let decoder = try oracle.decoder()
        let sequences = try oracle.sequences("train")
        let expected = try oracle.expected()
        let factors = try fit(decoder, sequences)
        let names = factors.tracked.layers.map(\.name)
        #expect(
            Set(names.map { "scores.\($0)" }) == Set(expected.tensors.keys.filter { $0.hasPrefix("scores.") }))
        let found = try scores(oracle, decoder, factors, breakdown: .layers)
        let total = try expected.doubles(named: "scores")
        for (query, own) in found.enumerated() {
            let range = (query * sequences.count)..<((query + 1) * sequences.count)
            let agreement = Agreement(own.map(\.total), Array(total[range]))
            #expect(agreement.largestDifference < 1e-3 && agreement.correlation > 0.99999, "\(agreement)")
            for (layer, name) in names.enumerated() {
                let reference = try expected.doubles(named: "scores.\(name)")[range]
                let byMatrix = Agreement(own.compactMap { $0.layers?[layer] }, Array(reference))
                #expect(byMatrix.largestDifference < 1e-3, "\(name): \(byMatrix)")
            }
        }
    }

    @Test("do not depend on how sequences are packed, nor on a rank that is above the adapter's")
    func invariance() throws {
        let oracle = AdapterOracle.all[0]
        let decoder = try oracle.decoder()
        let sequences = try oracle.sequences("train")
        let whole = try scores(oracle, decoder, fit(decoder, sequences))
        let single = try scores(oracle, decoder, fit(decoder, sequences, batchTokens: 1), batchTokens: 1)
        let ranked = try scores(oracle, decoder, fit(decoder, sequences), rank: .limited(32))
        for query in whole.indices {
            let reference = whole[query].map(\.total)
            for other in [single, ranked] {
                #expect(Agreement(other[query].map(\.total), reference).largestDifference < 1e-4)
            }
        }
    }

    @Test("need factors as small as the ranks, which a folder keeps")
    func factorFolder() throws {
        let oracle = AdapterOracle.all[0]
        let decoder = try oracle.decoder()
        let factors = try fit(decoder, oracle.sequences("train"))
        for (layer, own) in zip(factors.tracked.layers, factors.layers) {
            let rank = layer.name.hasSuffix("lora_A") ? layer.outputs : layer.inputs
            #expect((2...5).contains(rank) && own.eigenvalues.rows == layer.outputs)
        }
        let folder = try TemporaryFolder()
        try FactorFile.write(factors, to: folder.path("factors"))
        let loaded = try FactorFile.load(folder: folder.path("factors"), for: decoder, modelDigest: "adapter")
        #expect(loaded.tracked == factors.tracked)
        #expect(throws: FactorFileError.self) {
            try FactorFile.load(folder: folder.path("factors"), for: decoder, modelDigest: "base")
        }
    }
}
