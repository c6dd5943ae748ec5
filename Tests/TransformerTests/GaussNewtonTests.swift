import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Gauss-Newton products")
struct GaussNewtonTests {
    static let models = FiniteDifferenceTests.models

    private static let sequences: [[Int32]] = [[5, 17, 3, 5, 56, 41, 17, 0, 8], [12, 12, 50, 33], [7, 40]]

    /// The tangents of all logits along a direction by central differences in Float64: one row a position that carries loss.
    private func slopes(
        _ reference: ReferenceDecoder, along direction: ParameterVector, _ tracked: TrackedLayers
    ) -> [[Double]] {
        let step = 3e-5
        func logits(_ sign: Double) -> [[Double]] {
            var moved = reference
            for layer in tracked.layers {
                for (index, value) in direction.layers[layer.index].elements.enumerated() {
                    moved.parameters[layer.name]?.values[index] += sign * step * Double(value)
                }
            }
            return Self.sequences.flatMap { moved.logits(of: $0).dropLast() }
        }
        return zip(logits(1), logits(-1)).map { zip($0, $1).map { ($0 - $1) / (2 * step) } }
    }

    /// `Σ sᵀ (diag(p) - p pᵀ) t` over the positions.
    private func curvature(_ probabilities: [[Double]], _ left: [[Double]], _ right: [[Double]]) -> Double {
        probabilities.indices.reduce(0) { sum, position in
            let (p, s, t) = (probabilities[position], left[position], right[position])
            let product = p.indices.reduce(0) { $0 + p[$1] * s[$1] * t[$1] }
            let meanLeft = p.indices.reduce(0) { $0 + p[$1] * s[$1] }
            let meanRight = p.indices.reduce(0) { $0 + p[$1] * t[$1] }
            return sum + product - meanLeft * meanRight
        }
    }

    private func softmax(_ logits: [Double]) -> [Double] {
        let largest = logits.max() ?? 0
        let powers = logits.map { exp($0 - largest) }
        let total = powers.reduce(0, +)
        return powers.map { $0 / total }
    }

    private func batch(_ sequences: [[Int32]] = sequences) -> TokenBatch {
        var batch = TokenBatch()
        for sequence in sequences { batch.append(sequence) }
        return batch
    }

    private func products(
        _ decoder: DecoderModel, _ tracked: TrackedLayers, along directions: [ParameterVector],
        of sequences: [[Int32]] = sequences
    ) -> [ParameterVector] {
        var workspace = DecoderWorkspace()
        var tangents = TangentWorkspace()
        var taps = directions.map { _ in GradientSumTap(tracked) }
        decoder.runGaussNewton(
            batch(sequences), along: directions, in: &workspace, &tangents, tracked: tracked, taps: &taps)
        return taps.map(\.sum)
    }

    private static let selections: [(model: String, selection: LayerSelection)] =
        models.map { ($0, .all) } + [
            ("gpt2", .feedForward), ("gpt2", .attention), ("gemma2", .feedForward), ("phi", .feedForward),
            ("olmoe", .feedForward), ("qwen2-moe", .feedForward), ("qwen3-moe", .attention),
        ]

    @Test("start from tangents that agree with central differences in Float64", arguments: selections)
    func tangents(model: String, selection: LayerSelection) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: decoder, selection)
        let direction = ParameterVector(normalOf: tracked, seed: 3)
        let expected = Array(slopes(ReferenceDecoder(decoder), along: direction, tracked).joined())
        var workspace = DecoderWorkspace()
        var tangents = TangentWorkspace()
        let found = decoder.logitTangents(
            of: batch(), at: batch().lossPositions, along: direction, tracked: tracked, in: &workspace, &tangents)
        let largest = expected.map(abs).max() ?? 0
        let worst = zip(found.elements, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
        #expect(found.count == expected.count && largest > 0)
        #expect(worst < 1e-4 * largest, "\(worst) of \(largest)")
    }

    @Test("agree with Jᵀ H J of differences", arguments: models)
    func products(model: String) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: decoder, .all)
        try expectAgreement(decoder, tracked, probes: [ParameterVector(normalOf: tracked, seed: 6)])
    }

    @Test("agree with Jᵀ H J of differences in each layer", arguments: ["gpt2", "llama-biases-untied"])
    func layers(model: String) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: decoder, .all)
        let whole = ParameterVector(normalOf: tracked, seed: 6)
        try expectAgreement(
            decoder, tracked,
            probes: tracked.layers.map { layer in
                var probe = ParameterVector(zeroOf: tracked)
                probe.layers[layer.index] = whole.layers[layer.index]
                return probe
            })
    }

    private func expectAgreement(
        _ decoder: DecoderModel, _ tracked: TrackedLayers, probes: [ParameterVector]
    ) throws {
        let reference = ReferenceDecoder(decoder)
        let probabilities = Self.sequences.flatMap { reference.logits(of: $0).dropLast().map(softmax) }
        let direction = ParameterVector(normalOf: tracked, seed: 5)
        let product = try #require(products(decoder, tracked, along: [direction]).first)
        let right = slopes(reference, along: direction, tracked)
        for (place, probe) in probes.enumerated() {
            let left = slopes(reference, along: probe, tracked)
            let expected = curvature(probabilities, left, right)
            // By how much the sum could be off if nothing cancelled in it.
            let scale = (curvature(probabilities, left, left) * curvature(probabilities, right, right)).squareRoot()
            #expect(abs(probe.dot(product) - expected) < 1e-4 * scale, "probe \(place)")
            #expect(scale > 0, "probe \(place)")
        }
    }

    @Test(
        "of a batch whose logits come in several blocks are the sums of its sequences' own",
        arguments: ["gpt2", "gemma2"])
    func packing(model: String) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let tracked = TrackedLayers(of: decoder)
        var generator = SplitMix64(seed: 8)
        let many = (0..<12).map { _ in (0..<20).map { _ in Int32(generator.next() % 50) } }
        #expect(batch(many).lossPositions.count > TokenLoss.block)
        let directions = (0..<2).map { ParameterVector(normalOf: tracked, seed: $0) }
        let packed = products(decoder, tracked, along: directions, of: many)
        var summed = directions.map { _ in ParameterVector(zeroOf: tracked) }
        for sequence in many {
            let own = products(decoder, tracked, along: directions, of: [sequence])
            for place in own.indices { summed[place].add(own[place]) }
        }
        for (packed, summed) in zip(packed, summed) {
            var difference = packed
            difference.add(summed, scaledBy: -1)
            #expect(difference.norm < 1e-5 * summed.norm)
        }
        let mixed = abs(directions[0].dot(packed[1]) - directions[1].dot(packed[0]))
        #expect(mixed < 1e-5 * packed[0].norm * directions[1].norm, "the matrix is symmetric")
    }

    @Test("are the mean over sampled labels of g gᵀ v")
    func trueFisher() throws {
        let decoder = try ModelFixture(name: "gpt2").decoder()
        let tracked = TrackedLayers(of: decoder)
        let direction = ParameterVector(normalOf: tracked, seed: 1)
        let sequence: [Int32] = [5, 17, 3]
        let expected = direction.dot(products(decoder, tracked, along: [direction], of: [sequence])[0])
        var workspace = DecoderWorkspace()
        let draws = 2_000
        var sum = 0.0
        for draw in 0..<draws {
            var batch = TokenBatch()
            batch.append(sequence, labels: .sampled(seed: 2, key: UInt64(draw)))
            var tap = GradientSumTap(tracked)
            decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
            let slope = tap.sum.dot(direction)
            sum += slope * slope
        }
        // The mean of n squares of nearly normal values deviates by √(2/n), here 3 %.
        #expect(abs(sum / Double(draws) - expected) < 0.1 * expected)
    }
}
