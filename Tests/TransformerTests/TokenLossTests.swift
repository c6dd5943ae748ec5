import LinearAlgebra
import Testing

@testable import Transformer

@Suite("The loss of a batch's tokens")
struct TokenLossTests {
    private static let width = 24
    /// More positions and more tokens than one part has.
    private static let positions = TokenLoss.part.rows + 40
    private static let vocabulary = 2 * TokenLoss.part.tokens + 77

    private struct NoTap: GradientTap {
        mutating func record(_ pass: LayerPass) {}
    }

    private static func random(rows: Int, columns: Int, seed: UInt64) -> Matrix {
        var random = SplitMix64(seed: seed)
        return Matrix(
            rows: rows, columns: columns, elements: (0..<(rows * columns)).map { _ in random.nextNormal() })
    }

    private static func batch() -> TokenBatch {
        var random = SplitMix64(seed: 3)
        var batch = TokenBatch()
        batch.append((0..<positions).map { _ in Int32.random(in: 0..<Int32(vocabulary), using: &random) })
        return batch
    }

    @Test("is the same in parts of the vocabulary as in whole rows", arguments: [nil, 12] as [Float?], [false, true])
    func parts(cap: Float?, hasBias: Bool) {
        let head = OutputHead(
            weight: .single(Self.random(rows: Self.vocabulary, columns: Self.width, seed: 1).slice),
            bias: hasBias ? Self.random(rows: 1, columns: Self.vocabulary, seed: 4) : nil, cap: cap)
        let batch = Self.batch()
        let hidden = Self.random(rows: Self.positions, columns: Self.width, seed: 2)
        func found(inParts: Bool) -> (losses: [Float], gradients: Matrix) {
            var scratch = TokenLoss.Scratch()
            scratch.hidden = hidden
            scratch.hiddenGradients.resize(rows: hidden.rows, columns: hidden.columns)
            var result = TokenLosses(losses: [Float](repeating: 0, count: Self.positions), labels: batch.targets)
            var tap = NoTap()
            let positions = batch.lossPositions
            if inParts {
                TokenLoss.evaluateParts(
                    positions, head: head, batch: batch, &scratch, wantsGradients: true, into: &result)
            } else {
                TokenLoss.evaluateRows(
                    positions, head: head, batch: batch, &scratch, wantsGradients: true, tap: &tap, into: &result)
            }
            return (result.losses, Matrix(scratch.hiddenGradients[rows: 0..<positions.count]))
        }
        let parts = found(inParts: true)
        let rows = found(inParts: false)
        let largest = rows.gradients.elements.map(abs).max() ?? 0
        #expect(largest > 0.1)
        #expect(zip(parts.gradients.elements, rows.gradients.elements).allSatisfy { abs($0 - $1) < 4e-6 * largest })
        #expect(zip(parts.losses, rows.losses).allSatisfy { abs($0 - $1) < 4e-6 * max(1, $1) })
    }

    @Test("is close to itself with a head of bfloat16")
    func half() throws {
        // Values that bfloat16 has: what is rounded besides are the exponentials alone.
        let weight = HalfMatrix(Self.random(rows: Self.vocabulary, columns: Self.width, seed: 1))
        let hidden = HalfMatrix(Self.random(rows: Self.positions, columns: Self.width, seed: 2)).singles
        let batch = Self.batch()
        func gradients(_ weight: Factor) -> [Float] {
            var scratch = TokenLoss.Scratch()
            var gradients = Matrix()
            var tap = NoTap()
            _ = TokenLoss.evaluate(
                hidden: hidden, head: OutputHead(weight: weight, bias: nil, cap: nil), batch: batch, &scratch,
                gradients: &gradients, wantsGradients: true, tap: &tap)
            return gradients.elements
        }
        let half = gradients(.half(weight.slice))
        let single = gradients(.single(weight.singles.slice))
        let difference = zip(half, single).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
        #expect(difference < 2e-3 * single.reduce(0) { $0 + $1 * $1 }.squareRoot())
    }

    @Test("divides any vocabulary into parts of about a size", arguments: [1, 64, 2_048, 2_049, 50_257, 151_936])
    func division(vocabulary: Int) {
        let parts = TokenLoss.parts(of: vocabulary)
        #expect(parts.first?.lowerBound == 0 && parts.last?.upperBound == vocabulary)
        #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        #expect(parts.allSatisfy { !$0.isEmpty && $0.count <= TokenLoss.part.tokens })
        #expect(parts.count <= vocabulary / TokenLoss.part.tokens + 1)
    }

    @Test("has logits of the size that is reckoned", arguments: [false, true])
    func logitBytes(samplesLabels: Bool) {
        let vocabulary = 2 * TokenLoss.part.tokens
        let head = OutputHead(
            weight: .single(Self.random(rows: vocabulary, columns: Self.width, seed: 1).slice), bias: nil, cap: nil)
        var batch = TokenBatch()
        // A multiple of 16 positions: others are filled up to one.
        let tokens = (0..<17).map { Int32($0) }
        batch.append(tokens, labels: samplesLabels ? .sampled(seed: 1, key: 1) : .nextTokens)
        var scratch = TokenLoss.Scratch()
        var gradients = Matrix()
        var tap = NoTap()
        _ = TokenLoss.evaluate(
            hidden: Self.random(rows: 17, columns: Self.width, seed: 2), head: head, batch: batch, &scratch,
            gradients: &gradients, wantsGradients: false, tap: &tap)
        let taken = scratch.logits.count * MemoryLayout<Float>.stride
        #expect(
            taken == TokenLoss.logitBytes(positions: 16, vocabulary: vocabulary, samplesLabels: samplesLabels))
        #expect(taken == 16 * vocabulary * 4 / (samplesLabels ? 1 : 2))
    }
}
