import LinearAlgebra
import Testing

@Suite("Normalisation kernels")
struct NormalizationKernelTests {
    private static let rows = 5

    private struct Inputs {
        let x: Matrix
        let gain: Matrix
        let bias: Matrix
        /// One column wider than x, as the gradients of layers with a bias are.
        let dy: Matrix

        init(width: Int) {
            var x = Matrix.random(rows: rows, columns: width, seed: 1, scale: 3)
            x.add(Matrix(rows: rows, columns: width, elements: [Float](repeating: 1.5, count: rows * width)))
            self.x = x
            gain = .random(rows: 1, columns: width, seed: 2)
            bias = .random(rows: 1, columns: width, seed: 3)
            dy = .random(rows: rows, columns: width + 1, seed: 4)
        }
    }

    @Test("layer norm equals its twin, with and without a bias, and leaves further columns alone", arguments: oddSizes)
    func layerNorm(width: Int) {
        let inputs = Inputs(width: width)
        for bias in [inputs.bias, nil] {
            let twins = inputs.x.doubleRows.map {
                KernelReference.layerNorm($0, gain: inputs.gain.doubles, bias: bias?.doubles, epsilon: 1e-5)
            }
            var y = Matrix()
            y.resize(rows: Self.rows, columns: width + 1, filledWith: 7)
            var statistics = Matrix()
            y.formLayerNorm(
                of: inputs.x, gain: inputs.gain, bias: bias, epsilon: 1e-5, columns: width + 1, statistics: &statistics)
            #expect(deviation(y, from: twins.map { $0.outputs + [7] }) < KernelReference.normTolerance)
            #expect(
                deviation(statistics, from: twins.map { [$0.mean, $0.reciprocal] }) < KernelReference.normTolerance)
        }
    }

    @Test("root-mean-square norm equals its twin, and leaves further columns alone", arguments: oddSizes)
    func rootMeanSquareNorm(width: Int) {
        let inputs = Inputs(width: width)
        let twins = inputs.x.doubleRows.map {
            KernelReference.rootMeanSquareNorm($0, gain: inputs.gain.doubles, epsilon: 1e-6)
        }
        var y = Matrix()
        y.resize(rows: Self.rows, columns: width + 1, filledWith: 7)
        var statistics = Matrix()
        y.formRootMeanSquareNorm(
            of: inputs.x, gain: inputs.gain, epsilon: 1e-6, columns: width + 1, statistics: &statistics)
        #expect(deviation(y, from: twins.map { $0.outputs + [7] }) < KernelReference.normTolerance)
        #expect(deviation(statistics, from: twins.map { [0, $0.reciprocal] }) < KernelReference.normTolerance)
    }

    @Test(
        "add the product of output gradients and Jacobian to the input gradients", arguments: oddSizes, [true, false])
    func inputGradients(width: Int, isCentred: Bool) {
        let inputs = Inputs(width: width)
        let before = Matrix.random(rows: Self.rows, columns: width, seed: 5)
        var dx = before
        dx.addNormGradient(
            outputGradients: inputs.dy, inputs: inputs.x, gain: inputs.gain,
            statistics: Matrix(
                doubleRows: statistics(of: inputs, isCentred: isCentred).map { [$0.mean, $0.reciprocal] }),
            isCentred: isCentred)
        var largestTerm = 0.0
        let expected = (0..<Self.rows).map { row in
            let (mean, reciprocal) = statistics(of: inputs, isCentred: isCentred)[row]
            let dy = Array(inputs.dy.doubleRows[row][..<width])
            let gradient = KernelReference.normGradient(
                dy, x: inputs.x.doubleRows[row], gain: inputs.gain.doubles, mean: mean, reciprocal: reciprocal,
                isCentred: isCentred)
            largestTerm = zip(dy, inputs.gain.doubles).map { abs($0 * $1 * reciprocal) }.reduce(largestTerm, max)
            return zip(before.doubleRows[row], gradient).map { $0 + $1 }
        }
        // Of the terms, not of their sum: in a row of one column they cancel.
        #expect(deviation(dx, from: expected, relativeTo: max(largestTerm, 1)) < KernelReference.normTolerance)
    }

    @Test("add to the gradients of gain and bias", arguments: oddSizes)
    func parameterGradients(width: Int) {
        let inputs = Inputs(width: width)
        let statistics = statistics(of: inputs, isCentred: true)
        let dy = inputs.dy.doubleRows.map { Array($0[..<width]) }
        let twins = [
            KernelReference.gainGradient(dy, x: inputs.x.doubleRows, statistics: statistics),
            KernelReference.biasGradient(dy),
        ]
        let before = Matrix.random(rows: 2, columns: width, seed: 6)
        var gain = Matrix(before[rows: 0..<1])
        var bias: Matrix? = Matrix(before[rows: 1..<2])
        let statisticsMatrix = Matrix(doubleRows: statistics.map { [$0.mean, $0.reciprocal] })
        gain.addGainGradient(
            bias: &bias, outputGradients: inputs.dy, inputs: inputs.x, statistics: statisticsMatrix)
        let expected = zip(before.doubleRows, twins).map { zip($0, $1).map { $0 + $1 } }
        // A row of one column has gradients that cancel: compare with its terms.
        #expect(
            deviation(gain.doubles, from: expected[0], relativeTo: max(1, expected[0].map(abs).max() ?? 0))
                < KernelReference.normTolerance)
        #expect(
            deviation(bias?.doubles ?? [], from: expected[1], relativeTo: max(1, expected[1].map(abs).max() ?? 0))
                < KernelReference.normTolerance)

        var alone = Matrix(before[rows: 0..<1])
        var none: Matrix?
        alone.addGainGradient(
            bias: &none, outputGradients: inputs.dy, inputs: inputs.x, statistics: statisticsMatrix)
        #expect(alone == gain)
        #expect(none == nil)
    }

    private func statistics(of inputs: Inputs, isCentred: Bool) -> [(mean: Double, reciprocal: Double)] {
        inputs.x.doubleRows.map { row in
            let twin =
                isCentred
                ? KernelReference.layerNorm(row, gain: inputs.gain.doubles, bias: nil, epsilon: 1e-5)
                : KernelReference.rootMeanSquareNorm(row, gain: inputs.gain.doubles, epsilon: 1e-5)
            // As the kernel is given them, in Float32.
            return (Double(Float(twin.mean)), Double(Float(twin.reciprocal)))
        }
    }
}
