import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("The divergence from a base model")
struct DivergenceTests {
    static let models = FiniteDifferenceTests.models

    private static let sequences: [[Int32]] = [[5, 17, 3, 5, 56, 41, 17, 0, 8], [12, 12, 50, 33], [7, 40]]

    private func gradient(
        _ decoder: DecoderModel, from base: DecoderModel, _ tracked: TrackedLayers, of sequences: [[Int32]] = sequences
    ) -> ParameterVector {
        var batch = TokenBatch()
        for sequence in sequences { batch.append(sequence) }
        var workspace = DecoderWorkspace()
        var baseWorkspace = DecoderWorkspace()
        var tap = GradientSumTap(tracked)
        decoder.runDivergence(batch, from: base, in: &workspace, &baseWorkspace, tracked: tracked, tap: &tap)
        return tap.sum
    }

    /// `Σ KL(p‖q)` over the positions that carry loss, in Float64.
    private func divergence(_ decoder: ReferenceDecoder, from base: ReferenceDecoder) -> Double {
        func logarithms(_ logits: [Double]) -> [Double] {
            let largest = logits.max() ?? 0
            let total = logits.reduce(0) { $0 + exp($1 - largest) }
            return logits.map { $0 - largest - log(total) }
        }
        return Self.sequences.reduce(0) { sum, sequence in
            let pairs = zip(base.logits(of: sequence), decoder.logits(of: sequence)).dropLast()
            return sum
                + pairs.reduce(0) { sum, pair in
                    zip(logarithms(pair.0), logarithms(pair.1)).reduce(sum) { $0 + exp($1.0) * ($1.0 - $1.1) }
                }
        }
    }

    @Test("has the slope that differences in Float64 have", arguments: models)
    func slope(model: String) throws {
        let base = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: base, .all)
        let decoder = base.displaced(
            along: ParameterVector(normalOf: tracked, seed: 4), tracked: tracked, by: 0.02)
        let direction = ParameterVector(normalOf: tracked, seed: 5)
        let step = 1e-4
        let reference = ReferenceDecoder(base)
        func moved(_ sign: Double) -> Double {
            var moved = ReferenceDecoder(decoder)
            for layer in tracked.layers {
                for (index, value) in direction.layers[layer.index].elements.enumerated() {
                    moved.parameters[layer.name]?.values[index] += sign * step * Double(value)
                }
            }
            return divergence(moved, from: reference)
        }
        let expected = (moved(1) - moved(-1)) / (2 * step)
        let found = gradient(decoder, from: base, tracked)
        #expect(abs(expected) > 1e-3)
        #expect(abs(found.dot(direction) - expected) < 2e-3 * abs(expected), "\(found.dot(direction)), \(expected)")
    }

    @Test("has no slope at all where the two models are one", arguments: models)
    func zero(model: String) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: decoder, .all)
        #expect(gradient(decoder, from: decoder, tracked).squaredNorm == 0)
    }

    @Test(
        "of a batch whose logits come in several blocks is the sum of its sequences' own",
        arguments: ["gpt2", "gemma2"])
    func packing(model: String) throws {
        let base = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: base)
        let decoder = base.displaced(
            along: ParameterVector(normalOf: tracked, seed: 4), tracked: tracked, by: 0.02)
        var generator = SplitMix64(seed: 8)
        let many = (0..<12).map { _ in (0..<20).map { _ in Int32(generator.next() % 50) } }
        #expect(many.count * 19 > TokenLoss.block)
        let packed = gradient(decoder, from: base, tracked, of: many)
        var difference = packed
        for sequence in many { difference.add(gradient(decoder, from: base, tracked, of: [sequence]), scaledBy: -1) }
        #expect(difference.norm < 1e-4 * packed.norm)
    }
}
