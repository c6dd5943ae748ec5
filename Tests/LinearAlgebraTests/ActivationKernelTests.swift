import LinearAlgebra
import Testing

@Suite("Activation kernels")
struct ActivationKernelTests {
    private static let rows = 3
    private static let extremes: [Float] = [0, -0.0, 1e-20, 0.5, -0.5, 4, -4, 6, -6, 12, -12, 90, -90, 500, -500]

    /// Random values, and in the last row the extremes as far as they fit.
    private func inputs(width: Int, seed: UInt64) -> Matrix {
        var x = Matrix.random(rows: Self.rows, columns: width, seed: seed, scale: 2)
        for (column, value) in Self.extremes.prefix(width).enumerated() { x[Self.rows - 1, column] = value }
        return x
    }

    /// The worst difference, each as a share of 1 or its own input's magnitude.
    private func deviation(_ found: Matrix, from expected: [[Double]], inputs: [[Double]]) -> Double {
        var worst = 0.0
        for row in expected.indices {
            for column in expected[row].indices {
                let scale = max(1, inputs[row][column])
                worst = max(
                    worst,
                    LinearAlgebraTests.deviation(
                        [Double(found[row, column])], from: [expected[row][column]], relativeTo: scale))
            }
        }
        return worst
    }

    @Test("gelu equals its twin, and leaves further columns alone", arguments: oddSizes)
    func gelu(width: Int) {
        let x = inputs(width: width, seed: 1)
        var y = Matrix()
        y.resize(rows: Self.rows, columns: width + 1, filledWith: 7)
        y.formGeluTanh(of: x, columns: width + 1)
        let magnitudes = x.doubleRows.map { $0.map(abs) }
        let expected = x.doubleRows.map { $0.map(KernelReference.geluTanh) }
        #expect(deviation(y, from: expected, inputs: magnitudes) < KernelReference.activationTolerance)
        #expect((0..<Self.rows).allSatisfy { y[$0, width] == 7 })
    }

    @Test("gelu's gradient equals its twin", arguments: oddSizes)
    func geluGradient(width: Int) {
        let x = inputs(width: width, seed: 1)
        let dy = Matrix.random(rows: Self.rows, columns: width + 1, seed: 2)
        var dx = Matrix()
        dx.formGeluTanhGradient(outputGradients: dy, inputs: x)
        let expected = (0..<Self.rows).map { row in
            (0..<width).map { Double(dy[row, $0]) * KernelReference.geluTanhDerivative(Double(x[row, $0])) }
        }
        let magnitudes = (0..<Self.rows).map { row in
            (0..<width).map { abs(Double(dy[row, $0])) * max(1, abs(Double(x[row, $0]))) }
        }
        #expect(deviation(dx, from: expected, inputs: magnitudes) < KernelReference.activationTolerance)
    }

    @Test("the silu gate equals its twin, and leaves further columns alone", arguments: oddSizes)
    func siluGate(width: Int) {
        let gate = inputs(width: width, seed: 1)
        let up = Matrix.random(rows: Self.rows, columns: width, seed: 2)
        var y = Matrix()
        y.resize(rows: Self.rows, columns: width + 1, filledWith: 7)
        y.formSiluGate(gate: gate, up: up, columns: width + 1)
        let expected = (0..<Self.rows).map { row in
            (0..<width).map { KernelReference.siluGate(gate: Double(gate[row, $0]), up: Double(up[row, $0])) }
        }
        let magnitudes = (0..<Self.rows).map { row in
            (0..<width).map { abs(Double(gate[row, $0]) * Double(up[row, $0])) }
        }
        #expect(deviation(y, from: expected, inputs: magnitudes) < KernelReference.activationTolerance)
        #expect((0..<Self.rows).allSatisfy { y[$0, width] == 7 })
    }

    @Test("the silu gate's gradients equal their twins", arguments: oddSizes)
    func siluGateGradients(width: Int) {
        let gate = inputs(width: width, seed: 1)
        let up = Matrix.random(rows: Self.rows, columns: width, seed: 2)
        let dy = Matrix.random(rows: Self.rows, columns: width + 1, seed: 3)
        var gateGradients = Matrix()
        var upGradients = Matrix()
        gateGradients.formSiluGateGradient(upGradients: &upGradients, outputGradients: dy, gate: gate, up: up)
        let expected = (0..<Self.rows).map { row in
            (0..<width).map { column in
                KernelReference.siluGateGradients(
                    Double(dy[row, column]), gate: Double(gate[row, column]), up: Double(up[row, column]))
            }
        }
        let magnitudes = (0..<Self.rows).map { row in
            (0..<width).map {
                abs(Double(dy[row, $0])) * max(1, abs(Double(gate[row, $0]))) * max(1, abs(Double(up[row, $0])))
            }
        }
        #expect(
            deviation(gateGradients, from: expected.map { $0.map(\.gate) }, inputs: magnitudes)
                < KernelReference.activationTolerance)
        #expect(
            deviation(upGradients, from: expected.map { $0.map(\.up) }, inputs: magnitudes)
                < KernelReference.activationTolerance)
    }
}
