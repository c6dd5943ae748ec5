import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Gradients against finite differences in Float64")
struct FiniteDifferenceTests {
    /// Layer norm, learned positions, gelu, a fused attention layer and a tied head; root-mean-square norm, rotary positions, a
    /// gated MLP, grouped queries, biases everywhere and a head of its own; and what the other families add to these.
    static let models = ["gpt2", "llama-biases-untied"] + ModelFixture.families

    /// Long enough for attention to matter, repeating tokens so that embedding rows are met more than once.
    private static let sequences: [[Int32]] = [[5, 17, 3, 5, 56, 41, 17, 0, 8], [12, 12, 50, 33], [7, 40]]

    private static let step = 1e-4

    /// (L(θ + step · direction) - L(θ - step · direction)) / 2 step, of one parameter.
    private func slope(_ reference: ReferenceDecoder, _ name: String, along direction: [Double]) -> Double {
        func loss(_ sign: Double) -> Double {
            var moved = reference
            for index in direction.indices where direction[index] != 0 {
                moved.parameters[name]?.values[index] += sign * Self.step * direction[index]
            }
            return moved.loss(of: Self.sequences)
        }
        return (loss(1) - loss(-1)) / (2 * Self.step)
    }

    private func gradients(_ decoder: DecoderModel) throws -> [(name: String, values: [Double])] {
        var gradient = try decoder.gradient(of: Self.sequences)
        var gradients: [(String, [Double])] = []
        gradient.updateParameters { name, matrix in gradients.append((name, matrix.elements.map(Double.init))) }
        return gradients
    }

    @Test("start from a reference that computes what the decoder computes", arguments: models)
    func reference(model: String) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let reference = ReferenceDecoder(decoder)
        var workspace = DecoderWorkspace()
        for sequence in Self.sequences {
            var batch = TokenBatch()
            batch.append(sequence)
            let logits = decoder.logits(of: batch, at: Array(sequence.indices), in: &workspace)
            let expected = Array(reference.logits(of: sequence).joined())
            #expect(logits.count == expected.count)
            let worst = zip(logits.elements, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
            #expect(worst < 1e-5)
            let loss = decoder.losses(of: batch, in: &workspace).sum(over: 0..<sequence.count)
            #expect(abs(loss - reference.loss(of: [sequence])) < 1e-6 * loss)
        }
    }

    @Test("agree along a random direction of every parameter", arguments: models)
    func directions(model: String) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let reference = ReferenceDecoder(decoder)
        let gradients = try gradients(decoder)
        #expect(gradients.count == reference.parameters.count)
        for (number, (name, gradient)) in gradients.enumerated() {
            var generator = SplitMix64(seed: UInt64(number))
            let normal = gradient.map { _ in Double(generator.nextNormal()) }
            let length = normal.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let direction = normal.map { $0 / length }
            let expected = slope(reference, name, along: direction)
            let found = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
            // A direction can be nearly orthogonal to the gradient, and an expert to which no token goes has none.
            let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let tolerance = 1e-3 * max(abs(expected), 1e-2 * norm)
            #expect(abs(found - expected) <= tolerance, "\(name): \(found), expected \(expected)")
        }
    }

    /// One parameter of each kind.
    static let kinds: [(model: String, names: [String])] = [
        (
            "gpt2",
            [
                ParameterName.tokenEmbedding, ParameterName.positionEmbedding, "transformer.h.0.ln_1.gain",
                "transformer.h.1.ln_2.bias", "transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_proj",
                "transformer.h.0.mlp.c_fc", "transformer.h.1.mlp.c_proj", "transformer.ln_f.gain",
                "transformer.ln_f.bias",
            ]
        ),
        (
            "llama-biases-untied",
            [
                ParameterName.tokenEmbedding, ParameterName.head, "model.layers.0.input_layernorm.gain",
                "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj", "model.layers.0.self_attn.v_proj",
                "model.layers.1.self_attn.o_proj", "model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj",
                "model.layers.0.mlp.down_proj", "model.norm.gain",
            ]
        ),
    ]

    @Test("agree entry by entry, for each kind of layer", arguments: kinds)
    func entries(model: String, names: [String]) throws {
        let decoder = try ModelFixture(name: model).decoder()
        let reference = ReferenceDecoder(decoder)
        let gradients = Dictionary(uniqueKeysWithValues: try gradients(decoder).map { ($0.name, $0.values) })
        for name in names {
            let gradient = try #require(gradients[name], "\(name)")
            let largest = gradient.map(abs).max() ?? 0
            #expect(largest > 0, "\(name)")
            // The largest entry, the last (of a layer with a bias, one of the bias), and some between.
            let chosen = [gradient.firstIndex { abs($0) == largest } ?? 0, gradient.count - 1]
            for index in Set(chosen + (1...4).map { $0 * gradient.count / 5 }) {
                var direction = [Double](repeating: 0, count: gradient.count)
                direction[index] = 1
                let expected = slope(reference, name, along: direction)
                #expect(
                    abs(gradient[index] - expected) < 1e-4 * largest,
                    "\(name)[\(index)]: \(gradient[index]), expected \(expected)")
            }
        }
    }
}
