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

    /// A gelu and its twin.
    struct Gelu: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let form: @Sendable (inout Matrix, _ x: Matrix, _ columns: Int) -> Void
        let formGradient: @Sendable (inout Matrix, _ dy: Matrix, _ x: Matrix) -> Void
        let twin: @Sendable (Double) -> Double
        let twinDerivative: @Sendable (Double) -> Double

        static let all = [
            Gelu(
                testDescription: "tanh", form: { $0.formGeluTanh(of: $1, columns: $2) },
                formGradient: { $0.formGeluTanhGradient(outputGradients: $1, inputs: $2) },
                twin: KernelReference.geluTanh, twinDerivative: KernelReference.geluTanhDerivative),
            Gelu(
                testDescription: "erf", form: { $0.formGeluErf(of: $1, columns: $2) },
                formGradient: { $0.formGeluErfGradient(outputGradients: $1, inputs: $2) },
                twin: KernelReference.geluErf, twinDerivative: KernelReference.geluErfDerivative),
        ]
    }

    @Test("gelu equals its twin, and leaves further columns alone", arguments: oddSizes, Gelu.all)
    func gelu(width: Int, gelu: Gelu) {
        let x = inputs(width: width, seed: 1)
        var y = Matrix()
        y.resize(rows: Self.rows, columns: width + 1, filledWith: 7)
        gelu.form(&y, x, width + 1)
        let magnitudes = x.doubleRows.map { $0.map(abs) }
        let expected = x.doubleRows.map { $0.map(gelu.twin) }
        #expect(deviation(y, from: expected, inputs: magnitudes) < KernelReference.activationTolerance)
        #expect((0..<Self.rows).allSatisfy { y[$0, width] == 7 })
    }

    @Test("gelu's gradient equals its twin", arguments: oddSizes, Gelu.all)
    func geluGradient(width: Int, gelu: Gelu) {
        let x = inputs(width: width, seed: 1)
        let dy = Matrix.random(rows: Self.rows, columns: width + 1, seed: 2)
        var dx = Matrix()
        gelu.formGradient(&dx, dy, x)
        let expected = (0..<Self.rows).map { row in
            (0..<width).map { Double(dy[row, $0]) * gelu.twinDerivative(Double(x[row, $0])) }
        }
        let magnitudes = (0..<Self.rows).map { row in
            (0..<width).map { abs(Double(dy[row, $0])) * max(1, abs(Double(x[row, $0]))) }
        }
        #expect(deviation(dx, from: expected, inputs: magnitudes) < KernelReference.activationTolerance)
    }

    @Test("the exact gelu keeps its relative accuracy far in the tail")
    func geluTail() {
        let x = Matrix(rows: 1, columns: 4, elements: [-3, -5, -7, -9])
        var y = Matrix()
        y.formGeluErf(of: x, columns: 4)
        for column in 0..<4 {
            let expected = KernelReference.geluErf(Double(x[0, column]))
            // The exponential's own error grows with its argument.
            #expect(abs(Double(y[0, column]) - expected) < 1e-5 * abs(expected))
        }
    }

    /// A gate and its twin.
    struct Gate: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let form: @Sendable (inout Matrix, _ gate: Matrix, _ up: Matrix, _ columns: Int) -> Void
        let formGradient:
            @Sendable (inout Matrix, _ upGradients: inout Matrix, _ dy: Matrix, _ gate: Matrix, _ up: Matrix) -> Void
        let twin: @Sendable (_ gate: Double, _ up: Double) -> Double
        let twinGradients: @Sendable (_ dy: Double, _ gate: Double, _ up: Double) -> (gate: Double, up: Double)

        static let all = [
            Gate(
                testDescription: "silu", form: { $0.formSiluGate(gate: $1, up: $2, columns: $3) },
                formGradient: { $0.formSiluGateGradient(upGradients: &$1, outputGradients: $2, gate: $3, up: $4) },
                twin: KernelReference.siluGate, twinGradients: KernelReference.siluGateGradients),
            Gate(
                testDescription: "gelu tanh", form: { $0.formGeluTanhGate(gate: $1, up: $2, columns: $3) },
                formGradient: { $0.formGeluTanhGateGradient(upGradients: &$1, outputGradients: $2, gate: $3, up: $4) },
                twin: KernelReference.geluTanhGate, twinGradients: KernelReference.geluTanhGateGradients),
        ]
    }

    @Test("a gate equals its twin, and leaves further columns alone", arguments: oddSizes, Gate.all)
    func gate(width: Int, kind: Gate) {
        let gate = inputs(width: width, seed: 1)
        let up = Matrix.random(rows: Self.rows, columns: width, seed: 2)
        var y = Matrix()
        y.resize(rows: Self.rows, columns: width + 1, filledWith: 7)
        kind.form(&y, gate, up, width + 1)
        let expected = (0..<Self.rows).map { row in
            (0..<width).map { kind.twin(Double(gate[row, $0]), Double(up[row, $0])) }
        }
        let magnitudes = (0..<Self.rows).map { row in
            (0..<width).map { abs(Double(gate[row, $0]) * Double(up[row, $0])) }
        }
        #expect(deviation(y, from: expected, inputs: magnitudes) < KernelReference.activationTolerance)
        #expect((0..<Self.rows).allSatisfy { y[$0, width] == 7 })
    }

    @Test("a gate's gradients equal their twins", arguments: oddSizes, Gate.all)
    func gateGradients(width: Int, kind: Gate) {
        let gate = inputs(width: width, seed: 1)
        let up = Matrix.random(rows: Self.rows, columns: width, seed: 2)
        let dy = Matrix.random(rows: Self.rows, columns: width + 1, seed: 3)
        var gateGradients = Matrix()
        var upGradients = Matrix()
        kind.formGradient(&gateGradients, &upGradients, dy, gate, up)
        let expected = (0..<Self.rows).map { row in
            (0..<width).map { column in
                kind.twinGradients(Double(dy[row, column]), Double(gate[row, column]), Double(up[row, column]))
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

    @Test("the soft cap and its gradient equal their twins", arguments: oddSizes, [1, 0.3] as [Float])
    func softCap(width: Int, scale: Float) {
        let cap: Float = 2.5
        let x = inputs(width: width, seed: 1)
        var capped = x
        capped.applySoftCap(cap, scale: scale)
        let expected = x.doubleRows.map {
            $0.map { KernelReference.softCap($0, cap: Double(cap), scale: Double(scale)) }
        }
        #expect(
            LinearAlgebraTests.deviation(capped, from: expected, relativeTo: Double(cap))
                < KernelReference.activationTolerance)
        let dy = Matrix.random(rows: Self.rows, columns: width, seed: 3)
        var dx = dy
        dx.applySoftCapGradient(capped: capped, cap: cap, scale: scale)
        let derivatives = (0..<Self.rows).map { row in
            (0..<width).map {
                Double(dy[row, $0])
                    * KernelReference.softCapDerivative(Double(x[row, $0]), cap: Double(cap), scale: Double(scale))
            }
        }
        let largest = dy.doubles.map(abs).max() ?? 1
        #expect(
            LinearAlgebraTests.deviation(dx, from: derivatives, relativeTo: largest) < 2
                * KernelReference.activationTolerance)
    }

    @Test("clamping cuts what lies outside, and stops its gradient there", arguments: oddSizes)
    func clamp(width: Int) {
        let limit: Float = 0.5
        let x = inputs(width: width, seed: 1)
        var clamped = x
        clamped.clamp(to: limit)
        let dy = Matrix.random(rows: Self.rows, columns: width, seed: 2)
        var dx = dy
        dx.applyClampGradient(inputs: x, limit: limit)
        for row in 0..<Self.rows {
            for column in 0..<width {
                #expect(clamped[row, column] == min(max(x[row, column], -limit), limit))
                #expect(dx[row, column] == (abs(x[row, column]) > limit ? 0 : dy[row, column]))
            }
        }
    }
}
