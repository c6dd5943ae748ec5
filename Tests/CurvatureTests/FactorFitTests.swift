import Foundation
import LinearAlgebra
import Synchronization
import TestSupport
import Testing
import Transformer

@testable import Curvature

@Suite("A fit of factors")
struct FactorFitTests {
    private let checkpoint: Checkpoint
    private let sequences: [[Int32]]

    init() throws {
        let oracle = Oracle.all[1]
        checkpoint = try oracle.checkpoint()
        sequences = Array(try oracle.sequences().prefix(40))
    }

    private func fit(
        fisher: FactorProvenance.Fisher = .sampled, seed: UInt64 = 1, workers: Int = 1, batchTokens: Int = 512,
        selection: LayerSelection = .feedForward, largestBlock: Int? = nil
    ) -> FactorFit {
        FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest, source: .init(sequences), fisher: fisher,
            selection: selection, seed: seed, largestBlock: largestBlock, workers: Workers(count: workers),
            batchTokens: batchTokens, saveInterval: 0)
    }

    @Test("gives the same factors bit for bit for one seed and one worker")
    func reproducible() throws {
        let first = try fit().run()
        let second = try fit().run()
        #expect(first.isIdentical(to: second))
        #expect(!first.isIdentical(to: try fit(seed: 2).run()), "another seed draws other labels")
    }

    @Test("does not depend on batch size or number of workers", arguments: [(1, 64), (2, 512), (3, 2_048)])
    func batching(workers: Int, batchTokens: Int) throws {
        let reference = try fit(fisher: .empirical).run()
        let other = try fit(fisher: .empirical, workers: workers, batchTokens: batchTokens).run()
        for (a, b) in zip(reference.layers, other.layers) {
            let largest = a.activationValues.max() ?? 0
            #expect(zip(a.activationValues, b.activationValues).allSatisfy { abs($0 - $1) < 1e-5 * largest })
            #expect(abs(a.defaultDamping - b.defaultDamping) < 1e-4 * a.defaultDamping)
        }
    }

    @Test("is refused on sequences of one token, in which nothing is predicted")
    func singleTokens() {
        let single = FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest, source: .init((1...20).map { [$0] }))
        #expect(throws: FitError.nothingToPredict) { try single.run() }
    }

    @Test("is refused where no gradient reaches any layer")
    func noGradients() {
        let sequences = sequences
        let unlabelled = fit().with { _, index in
            .given([Int32](repeating: TokenBatch.noTarget, count: sequences[index].count))
        }
        #expect(throws: FitError.withoutGradients) { try unlabelled.run() }
    }

    @Test("may have sequences of one token among others")
    func someSingleTokens() throws {
        let mixed = FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest,
            source: .init(Array(sequences.prefix(6)) + [[5], [7]]))
        #expect(try mixed.run().layersWithoutCurvature.isEmpty)
    }

    @Test("samples labels from the model: the data's own labels give other factors")
    func sampledIsNotEmpirical() throws {
        let sampled = try fit().run()
        let empirical = try fit(fisher: .empirical).run()
        #expect(sampled.layers[0].defaultDamping != empirical.layers[0].defaultDamping)
        #expect(sampled.provenance.seed == 1)
        #expect(empirical.provenance.seed == nil)
    }

    @Test(
        "that was interrupted goes on to the factors of an undisturbed one, wherever it stopped", arguments: [1, 3, 6],
        [nil, 24])
    func resume(rounds: Int, largestBlock: Int?) throws {
        let folder = try TemporaryFolder()
        let undisturbed = try fit(batchTokens: 256, largestBlock: largestBlock).run()
        let asked = Atomic<Int>(0)
        #expect(throws: FitError.self) {
            try fit(batchTokens: 256, largestBlock: largestBlock).run(
                statePath: folder.path("state.safetensors"),
                isCancelled: { asked.add(1, ordering: .relaxed).newValue == rounds })
        }
        #expect(FileManager.default.fileExists(atPath: folder.path("state.safetensors")))
        var firstProgress: FactorFit.Progress?
        let resumed = try fit(batchTokens: 256, largestBlock: largestBlock).run(
            statePath: folder.path("state.safetensors"), progress: { firstProgress = firstProgress ?? $0 })
        #expect(resumed.isIdentical(to: undisturbed))
        #expect((firstProgress?.done ?? 0) > 0 || firstProgress?.stage != .covariances, "it did not start again")
    }

    @Test("does not take up the state of another fit")
    func otherState() throws {
        let folder = try TemporaryFolder()
        #expect(throws: FitError.self) {
            try fit(seed: 9).run(statePath: folder.path("state"), isCancelled: { true })
        }
        #expect(try fit().run(statePath: folder.path("state")).isIdentical(to: try fit().run()))
    }

    @Test("tracks attention's projections when asked to")
    func attention() throws {
        let factors = try fit(selection: .all).run()
        let names = factors.tracked.layers.map(\.name)
        #expect(names.contains("model.layers.0.self_attn.q_proj") && names.contains("model.layers.1.mlp.down_proj"))
        #expect(factors.layers.allSatisfy { $0.defaultDamping > 0 })
    }

    @Test("splits covariances into blocks on the diagonal when asked to, and has theirs of the whole there")
    func blocks() throws {
        let whole = try fit().run()
        let split = try fit(largestBlock: 24).run()
        #expect(split.provenance.largestBlock == 24 && whole.provenance.largestBlock == nil)
        #expect(split.byteCount < whole.byteCount)
        for (split, whole) in zip(split.layers, whole.layers) {
            for (found, all) in [
                (
                    BlockEigen(values: split.activationValues, vectors: split.activationVectors),
                    BlockEigen(values: whole.activationValues, vectors: whole.activationVectors)
                ),
                (
                    BlockEigen(values: split.gradientValues, vectors: split.gradientVectors),
                    BlockEigen(values: whole.gradientValues, vectors: whole.gradientVectors)
                ),
            ] {
                #expect(found.vectors.blocks.count > 1 && found.vectors.blocks.allSatisfy { $0.rows <= 24 })
                let covariance = all.matrix
                let largest = all.values.max() ?? 0
                for (row, column, value) in found.entriesOfBlocks {
                    #expect(abs(value - covariance[row][column]) < 1e-5 * largest)
                }
            }
            // A rotation changes no gradient's length, so that the mean of Λ is the same.
            #expect(abs(split.defaultDamping - whole.defaultDamping) < 1e-4 * whole.defaultDamping)
            #expect(split.eigenvalues != whole.eigenvalues)
        }
    }

    @Test("is whole where no layer is wider than the blocks")
    func wideBlocks() throws {
        #expect(try fit(largestBlock: 100_000).run().isIdentical(to: try fit().run()))
    }

    @Test("refuses an empty corpus")
    func empty() throws {
        let fit = FactorFit(decoder: checkpoint.decoder, modelDigest: "", source: .init([]))
        #expect(throws: FitError.noSequences) { try fit.run() }
    }

    @Test("shares one activation basis between the layers that read the same inputs")
    func sharedBasis() throws {
        let factors = try fit().run()
        let gate = try #require(factors.tracked["model.layers.0.mlp.gate_proj"])
        let up = try #require(factors.tracked["model.layers.0.mlp.up_proj"])
        #expect(
            factors.layers[gate.index].activationVectors.blocks.map(\.storageIdentifier)
                == factors.layers[up.index].activationVectors.blocks.map(\.storageIdentifier))
    }
}

extension EKFACFactors {
    func isIdentical(to other: EKFACFactors) -> Bool {
        zip(layers, other.layers).allSatisfy { a, b in
            a.activationVectors == b.activationVectors && a.gradientVectors == b.gradientVectors
                && a.eigenvalues == b.eigenvalues
        }
    }
}

extension BlockEigen {
    /// The decomposed matrix, from its one block.
    fileprivate var matrix: [[Double]] {
        let order = values.count
        var matrix = [[Double]](repeating: [Double](repeating: 0, count: order), count: order)
        for (row, column, value) in entriesOfBlocks { matrix[row][column] = value }
        return matrix
    }

    /// The entries of the decomposed blocks: row, column and value.
    fileprivate var entriesOfBlocks: [(Int, Int, Double)] {
        zip(vectors.blocks, vectors.ranges).flatMap { block, range in
            range.flatMap { row in
                range.map { column in
                    let value = range.reduce(0.0) { sum, vector in
                        let place = vector - range.lowerBound
                        return sum + Double(block[row - range.lowerBound, place]) * values[vector]
                            * Double(block[column - range.lowerBound, place])
                    }
                    return (row, column, value)
                }
            }
        }
    }
}
