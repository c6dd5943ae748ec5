import Foundation
import LinearAlgebra
import Sequences
import TestSupport
import Testing
import Transformer

@testable import Curvature

@Suite("Factors of experts")
struct ExpertFactorTests {
    private let folder: TemporaryFolder
    private let decoder: DecoderModel
    private let sequences: [TrainingSequence]

    init() throws {
        folder = try TemporaryFolder()
        var tests = URL(fileURLWithPath: #filePath)
        for _ in 0..<2 { tests.deleteLastPathComponent() }
        decoder = try Checkpoint.loadDecoder(
            folder: tests.appendingPathComponent("TransformerTests/Fixtures/models/qwen2-moe").path)
        sequences = (0..<12).map { row in
            let tokens = (0..<9).map { position -> Int32 in Int32((row * 31 + position * (row + 7)) % 59) }
            return TrainingSequence(tokens: tokens)
        }
    }

    private func fit() -> FactorFit {
        FactorFit(
            decoder: decoder, modelDigest: "model",
            source: FactorFit.Source(count: sequences.count, digest: "corpus") { [sequences] in Array(sequences[$0]) },
            workers: Workers(count: 2), batchTokens: 9)
    }

    private func equal(_ factors: EKFACFactors, _ others: EKFACFactors) -> Bool {
        zip(factors.layers, others.layers).allSatisfy {
            $0.eigenvalues == $1.eigenvalues && $0.activationVectors == $1.activationVectors
                && $0.gradientVectors == $1.gradientVectors && $0.tokens == $1.tokens
        }
    }

    @Test("are the same to the bit if the fit is interrupted at every chance, with the tokens of each expert")
    func resumption() throws {
        let state = folder.path("fit.safetensors")
        let whole = try fit().run()
        var interruptions = 0
        var resumed: EKFACFactors?
        while resumed == nil, interruptions < 20 {
            do {
                var asked = false
                resumed = try fit().run(
                    statePath: state,
                    isCancelled: {
                        defer { asked = true }
                        return !asked
                    })
            } catch FitError.interrupted {
                interruptions += 1
            }
        }
        #expect(interruptions > 1)
        #expect(equal(try #require(resumed), whole))
        let routed = zip(whole.tracked.layers, whole.layers).filter { $0.0.expert != nil }
        #expect(!routed.isEmpty && routed.allSatisfy { $0.1.tokens != nil })
        // Each of two mixtures sends every token to two of five experts.
        let downs = routed.filter { $0.0.name.hasSuffix("down_proj") }
        #expect(downs.reduce(0) { $0 + ($1.1.tokens ?? 0) } == 2 * 2 * (whole.provenance.tokens ?? 0))
    }

    @Test("are written with the tokens of each expert, and read back")
    func file() throws {
        let factors = try fit().run()
        let path = folder.path("factors")
        try FactorFile.write(factors, to: path)
        let read = try FactorFile.load(folder: path, for: decoder, modelDigest: "model")
        #expect(read.layers.map(\.tokens) == factors.layers.map(\.tokens))
        #expect(read.warnings == factors.warnings)
        // Another program's factors lack the file, and nothing is then said of the experts.
        try FileManager.default.removeItem(atPath: path + "/num_activation_covariance_processed.safetensors")
        let without = try FactorFile.load(folder: path, for: decoder, modelDigest: "model")
        #expect(without.layers.allSatisfy { $0.tokens == nil })
    }

    @Test("have means over the tokens that went to each expert")
    func means() throws {
        let factors = try fit().run()
        var workspace = DecoderWorkspace()
        var tap = SquaresTap()
        for sequence in sequences {
            var batch = TokenBatch()
            batch.append(sequence)
            decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &tap)
        }
        for (layer, own) in zip(factors.tracked.layers, factors.layers) where layer.index == layer.inputOwner {
            let found = try #require(tap.sums[layer.index])
            let trace = own.activationValues.reduce(0, +)
            #expect(abs(trace - found.squares / Double(found.tokens)) < 1e-4 * trace, "\(layer.name)")
            #expect(own.tokens == (layer.expert == nil ? nil : found.tokens))
        }
    }
}

/// The squared norms of each layer's inputs.
private struct SquaresTap: GradientTap {
    var sums: [Int: (squares: Double, tokens: Int)] = [:]

    mutating func record(_ pass: LayerPass) {
        sums[pass.layer.index, default: (0, 0)].squares += Matrix(pass.inputs).squaredNorm
        sums[pass.layer.index, default: (0, 0)].tokens += pass.inputs.rows
    }
}
