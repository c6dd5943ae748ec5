import Foundation
import LinearAlgebra
import Testing

@Suite("Softmax kernels")
struct SoftmaxKernelTests {
    @Test("the causal softmax equals its twin, and is zero behind what a row sees", arguments: oddSizes, [1, 4, 600])
    func causal(width: Int, firstLimit: Int) {
        for scale in [0.25, 40] as [Float] {
            let scores = Matrix.random(rows: 6, columns: width, seed: 1, scale: 3)
            var weights = scores
            weights.applyCausalSoftmax(scale: scale, firstLimit: firstLimit)
            let expected = KernelReference.causalSoftmax(
                scores.doubleRows, scale: Double(scale), firstLimit: firstLimit)
            // The exponents, and their rounding, grow with the scale.
            let tolerance = KernelReference.softmaxTolerance * max(1, Double(scale))
            #expect(deviation(weights, from: expected, relativeTo: 1) < tolerance)
            for row in 0..<6 {
                for column in min(firstLimit + row, width)..<width { #expect(weights[row, column] == 0) }
            }
        }
    }

    @Test(
        "behind a window, the causal softmax equals its twin and is zero in front of it", arguments: oddSizes,
        [1, 3, 50])
    func windowed(width: Int, window: Int) {
        for rows in [1, width] {
            let scores = Matrix.random(rows: rows, columns: width, seed: 1, scale: 3)
            var weights = scores
            weights.applyCausalSoftmax(scale: 0.5, firstLimit: width - rows + 1, window: window)
            let expected = KernelReference.causalSoftmax(
                scores.doubleRows, scale: 0.5, firstLimit: width - rows + 1, window: window)
            #expect(deviation(weights, from: expected, relativeTo: 1) < KernelReference.softmaxTolerance)
            for row in 0..<rows {
                for column in 0..<max(0, width - rows + 1 + row - window) { #expect(weights[row, column] == 0) }
            }
        }
    }

    @Test("the softmax's gradient equals its twin", arguments: oddSizes)
    func gradient(width: Int) {
        let p = Matrix(
            doubleRows: Matrix.random(rows: 4, columns: width, seed: 1).doubleRows.map(KernelReference.softmax))
        let dp = Matrix.random(rows: 4, columns: width, seed: 2)
        var gradient = dp
        gradient.applySoftmaxGradient(probabilities: p, scale: 0.3)
        let expected = zip(dp.doubleRows, p.doubleRows).map {
            KernelReference.softmaxGradient($0, p: $1, scale: Double(Float(0.3)))
        }
        let largestTerm = zip(p.doubles, dp.doubles).map { abs($0 * $1) }.max() ?? 0
        #expect(deviation(gradient, from: expected, relativeTo: largestTerm) < KernelReference.softmaxGradientTolerance)
    }

    @Test("rotation turns the pairs of each head and leaves everything else alone", arguments: [1, 7, 16, 33])
    func rotation(half: Int) {
        let heads = 3
        // The last entry of each head is not part of a pair.
        let headWidth = 2 * half + 1
        let start = 5
        let positions: [Int32] = [0, 3, 1, 3]
        let angles = Matrix.random(rows: 4, columns: half, seed: 1, scale: 2)
        let cosine = Matrix(doubleRows: angles.doubleRows.map { $0.map { cos($0) } })
        let sine = Matrix(doubleRows: angles.doubleRows.map { $0.map { sin($0) } })
        let x = Matrix.random(rows: 4, columns: start + heads * headWidth + 2, seed: 2)
        var turned = x
        func rotate(isInverse: Bool) {
            turned.rotateHalves(
                fromColumn: start, heads: heads, headWidth: headWidth, positions: positions, cosine: cosine, sine: sine,
                isInverse: isInverse)
        }
        rotate(isInverse: false)
        let expected = x.doubleRows.enumerated().map { row, values in
            var expected = values
            for head in 0..<heads {
                let range = (start + head * headWidth)..<(start + (head + 1) * headWidth)
                let angles = angles.doubleRows[Int(positions[row])]
                expected.replaceSubrange(
                    range, with: KernelReference.rotateHalves(Array(values[range]), angles: angles))
            }
            return expected
        }
        #expect(deviation(turned, from: expected) < KernelReference.rotationTolerance)
        #expect(deviation(turned, from: x.doubleRows) > 0.1)
        rotate(isInverse: true)
        #expect(deviation(turned, from: x.doubleRows) < KernelReference.rotationTolerance)
    }
}

@Suite("The cross-entropy kernel")
struct CrossEntropyKernelTests {
    private static let rows = 6

    @Test("gives the loss and gradient of its twin for given labels", arguments: oddSizes)
    func givenLabels(width: Int) {
        for scale in [1, 60] as [Float] {
            let logits = Matrix.random(rows: Self.rows, columns: width, seed: 1, scale: scale)
            let given = (0..<Self.rows).map { Int32($0 * 5 % width) }
            var labels = given
            var losses = [Float](repeating: 0, count: Self.rows)
            var gradient = logits
            gradient.applySoftmaxCrossEntropy(labels: &labels, uniforms: nil, losses: &losses)
            #expect(labels == given)
            let twins = zip(logits.doubleRows, given).map { KernelReference.crossEntropy($0, label: Int($1)) }
            #expect(
                deviation(gradient, from: twins.map(\.gradient), relativeTo: 1)
                    < KernelReference.softmaxTolerance * Double(max(1, scale)))
            let expected = twins.map(\.loss)
            #expect(
                deviation(losses.map(Double.init), from: expected, relativeTo: max(1, expected.max() ?? 0))
                    < KernelReference.lossTolerance)
        }
    }

    @Test("draws the label whose share of [0, 1) the uniform falls into", arguments: oddSizes)
    func drawnLabels(width: Int) {
        let logits = Matrix.random(rows: 64, columns: width, seed: 2, scale: 2)
        var generator = SplitMix64(seed: 3)
        let uniforms = (0..<64).map { _ in generator.nextUniform() }
        var labels = [Int32](repeating: 0, count: 64)
        var losses = [Float](repeating: 0, count: 64)
        var gradient = logits
        gradient.applySoftmaxCrossEntropy(labels: &labels, uniforms: uniforms, losses: &losses)
        for row in 0..<64 {
            let share = KernelReference.share(of: Int(labels[row]), logits.doubleRows[row])
            let uniform = Double(uniforms[row])
            #expect(uniform > share.lowerBound - 1e-6 && uniform < share.upperBound + 1e-6)
            let twin = KernelReference.crossEntropy(logits.doubleRows[row], label: Int(labels[row]))
            #expect(deviation([Double(losses[row])], from: [twin.loss], relativeTo: max(1, twin.loss)) < 1e-5)
            #expect(
                deviation(gradient.doubleRows[row], from: twin.gradient, relativeTo: 1)
                    < KernelReference.softmaxTolerance)
        }
        if width > 7 { #expect(Set(labels).count > 7) }
    }

    @Test("draws no unlikely label for the largest uniform, however the sum is rounded")
    func largestUniform() {
        let rows = 200
        var logits = Matrix.random(rows: rows, columns: 1_000, seed: 4)
        logits.fillColumn(999, with: -80)
        var labels = [Int32](repeating: 0, count: rows)
        var losses = [Float](repeating: 0, count: rows)
        logits.applySoftmaxCrossEntropy(
            labels: &labels, uniforms: [Float](repeating: Float(1).nextDown, count: rows), losses: &losses)
        #expect(labels.allSatisfy { $0 < 999 })
        #expect(losses.allSatisfy { $0 < 20 })
    }
}
