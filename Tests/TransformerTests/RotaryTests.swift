import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Rotary positions")
struct RotaryTests {
    @Test("turn ever more slowly from the first pair to the last")
    func frequencies() {
        let frequencies = RotaryEmbedding(base: 100, width: 4).frequencies
        #expect(frequencies.count == 2 && frequencies[0] == 1 && abs(frequencies[1] - 0.1) < 1e-15)
        let stretched = RotaryEmbedding(base: 100, width: 4, scaling: .linear(factor: 4)).frequencies
        #expect(stretched == frequencies.map { $0 / 4 })
    }

    @Test("keep short waves, stretch long ones and blend between, where they are scaled as Llama 3 does")
    func llama3() {
        let plain = RotaryEmbedding(base: 10_000, width: 32)
        let scaled = RotaryEmbedding(
            base: 10_000, width: 32,
            scaling: .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 256))
        var kinds: Set<String> = []
        for (before, after) in zip(plain.frequencies, scaled.frequencies) {
            let waves = 256 * before / (2 * .pi)
            if waves > 4 {
                #expect(after == before)
                kinds.insert("short")
            } else if waves < 1 {
                #expect(after == before / 8)
                kinds.insert("long")
            } else {
                #expect(after < before && after > before / 8)
                kinds.insert("between")
            }
        }
        #expect(kinds.count == 3)
    }

    @Test("are tabulated as far as a batch asks, and again for another embedding")
    func tables() {
        var table = RotaryTable()
        let embedding = RotaryEmbedding(base: 10, width: 2)
        func turned(_ position: Int32) -> Matrix {
            var x = Matrix(rows: 1, columns: 2, elements: [1, 0])
            table.apply(
                to: &x, AttentionLayout.HeadVectors(start: 0, stride: 2, count: 1, width: 2), positions: [position])
            return x
        }
        table.prepare(embedding, positions: 3, contextLength: 131_072)
        #expect(table.positions == 6)
        #expect(abs(turned(2)[0, 0] - Float(cos(2.0))) < 1e-6)
        table.prepare(embedding, positions: 6, contextLength: 131_072)
        #expect(table.positions == 6)
        table.prepare(embedding, positions: 131_000, contextLength: 131_072)
        #expect(table.positions == 131_072)
        #expect(abs(turned(130_999)[0, 1] - Float(sin(130_999.0))) < 1e-6)
        table.prepare(RotaryEmbedding(base: 10, width: 2, scaling: .linear(factor: 2)), positions: 3, contextLength: 4)
        #expect(table.positions == 4)
        #expect(abs(turned(2)[0, 0] - Float(cos(1.0))) < 1e-6)
    }
}
