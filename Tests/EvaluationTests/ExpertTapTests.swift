import Foundation
import LinearAlgebra
import Sequences
import Testing
import Transformer

@testable import Curvature
@testable import Evaluation

@Suite("Values of whole sequences, through mixtures of experts")
struct ExpertTapTests {
    private let decoder: DecoderModel
    private let factors: EKFACFactors
    private let sequences: [TrainingSequence]

    init() throws {
        var tests = URL(fileURLWithPath: #filePath)
        for _ in 0..<2 { tests.deleteLastPathComponent() }
        let decoder = try Checkpoint.loadDecoder(
            folder: tests.appendingPathComponent("TransformerTests/Fixtures/models/qwen2-moe").path)
        // Short ones, so that several experts get no token of a sequence.
        let sequences = (0..<8).map { row in
            let tokens = (0..<(2 + row % 4)).map { position -> Int32 in Int32((row * 31 + position * (row + 7)) % 59) }
            return TrainingSequence(tokens: tokens)
        }
        factors = try FactorFit(
            decoder: decoder, modelDigest: "",
            source: FactorFit.Source(count: sequences.count, digest: "") { Array(sequences[$0]) }
        ).run()
        (self.decoder, self.sequences) = (decoder, sequences)
    }

    /// The gradient of each sequence, layer by layer.
    private func gradients() -> [ParameterVector] {
        var workspace = DecoderWorkspace()
        return sequences.map { sequence in
            var tap = GradientSumTap(factors.tracked)
            var batch = TokenBatch()
            batch.append(sequence)
            decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &tap)
            return tap.sum
        }
    }

    private func expectClose(_ found: [Double], _ expected: [Double]) {
        #expect(found.count == expected.count)
        let largest = expected.map(abs).max() ?? 0
        for (one, other) in zip(found, expected) { #expect(abs(one - other) < 1e-4 * largest) }
    }

    @Test("are those of each sequence's own gradient")
    func packed() throws {
        var batch = TokenBatch()
        for sequence in sequences { batch.append(sequence) }
        var workspace = DecoderWorkspace()
        var norms = GradientNormTap()
        decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &norms)
        var influence = SelfInfluenceTap(factors)
        decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &influence)
        let gradients = gradients()
        let unreached = gradients.map { $0.layers.count { $0.squaredNorm == 0 } }
        #expect(unreached.allSatisfy { $0 > 0 })
        expectClose(norms.norms, gradients.map(\.norm))
        let inverse = KroneckerInverse(corrected: factors)
        expectClose(influence.scores, gradients.map { $0.dot(inverse.applied(to: $0)) })
    }
}
