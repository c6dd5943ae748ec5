import LinearAlgebra
import Testing

@Suite("Sum and element-wise kernels")
struct SumKernelTests {
    private func pair(_ count: Int) -> (Matrix, Matrix) {
        (.random(rows: 1, columns: count, seed: 1), .random(rows: 1, columns: count, seed: 2))
    }

    @Test("dot products and squared norms are those of Float64", arguments: oddSizes)
    func dot(count: Int) {
        let (x, y) = pair(count)
        let terms = zip(x.doubles, y.doubles).map { abs($0 * $1) }.reduce(0, +)
        #expect(abs(x.dot(y) - KernelReference.dot(x.doubles, y.doubles)) <= KernelReference.dotTolerance * terms)
        let square = KernelReference.dot(x.doubles, x.doubles)
        #expect(abs(x.squaredNorm - square) <= KernelReference.dotTolerance * square)
    }

    @Test("a dot product keeps what Float32 sums would lose")
    func dotKeepsSmallTerms() {
        let x = Matrix(rows: 1, columns: 3, elements: [1e8, 1, -1e8])
        let ones = Matrix(rows: 1, columns: 3, elements: [1, 1, 1])
        #expect(x.dot(ones) == 1)
    }

    @Test("adding and scaling go element by element", arguments: oddSizes)
    func addAndScale(count: Int) {
        let (x, y) = pair(count)
        var sum = x
        sum.add(y)
        #expect(
            deviation(sum.doubles, from: zip(x.doubles, y.doubles).map { $0 + $1 }) < KernelReference.elementTolerance)
        var scaled = x
        scaled.scale(by: -2.5)
        #expect(deviation(scaled.doubles, from: x.doubles.map { -2.5 * $0 }) < KernelReference.elementTolerance)
    }

    @Test("a row is added to one row alone", arguments: oddSizes)
    func addRow(width: Int) {
        let source = Matrix.random(rows: 3, columns: width, seed: 1)
        let before = Matrix.random(rows: 4, columns: width, seed: 2)
        var target = before
        target.addRow(2, of: source, to: 1)
        var expected = before.doubleRows
        expected[1] = zip(expected[1], source.doubleRows[2]).map { $0 + $1 }
        #expect(deviation(target, from: expected) < KernelReference.elementTolerance)
        #expect(Matrix(target[rows: 2..<4]) == Matrix(before[rows: 2..<4]))
    }

    @Test("the damped quotient divides by denominator and damping together", arguments: oddSizes)
    func dampedQuotient(count: Int) {
        let (x, other) = pair(count)
        var denominator = other
        for column in 0..<count { denominator[0, column] = abs(denominator[0, column]) }
        var quotient = Matrix()
        quotient.formDampedQuotient(x, denominator, damping: 0.125)
        let expected = zip(x.doubles, denominator.doubles).map { $0 / ($1 + 0.125) }
        #expect(deviation(quotient.doubles, from: expected) < KernelReference.elementTolerance)
    }

    @Test("rows are divided in place by denominator and damping together, and others stay", arguments: oddSizes)
    func dampedDivision(count: Int) {
        let x = Matrix.random(rows: 5, columns: count, seed: 1)
        var denominator = Matrix.random(rows: 5, columns: count, seed: 2)
        for row in 0..<5 {
            for column in 0..<count { denominator[row, column] = abs(denominator[row, column]) }
        }
        var quotient = x
        quotient.divide(rows: 1..<4, by: denominator, damping: 0.125)
        let expected = zip(x.doubleRows, denominator.doubleRows).enumerated().map { row, pair in
            (1..<4).contains(row) ? zip(pair.0, pair.1).map { $0 / ($1 + 0.125) } : pair.0
        }
        #expect(deviation(quotient, from: expected) < KernelReference.elementTolerance)
    }

    @Test("a value that is not finite is found wherever it is", arguments: oddSizes)
    func finite(count: Int) {
        var x = Matrix.random(rows: 1, columns: count, seed: 1)
        x[0, 0] = .greatestFiniteMagnitude
        #expect(x.isFinite)
        for place in Set([0, count / 2, count - 1]) {
            for value in [Float.nan, .infinity, -.infinity, .signalingNaN] {
                var spoiled = x
                spoiled[0, place] = value
                #expect(!spoiled.isFinite)
            }
        }
        #expect(Matrix().isFinite)
    }

    @Test("AdamW takes the steps of its twin", arguments: oddSizes)
    func adamW(count: Int) {
        let start = Matrix.random(rows: 1, columns: count, seed: 1)
        let (rate, beta1, beta2, epsilon, decay) = (Float(0.01), Float(0.9), Float(0.95), Float(1e-6), Float(0.1))
        var parameters = start
        var first = Matrix(rows: 1, columns: count)
        var second = Matrix(rows: 1, columns: count)
        var twins = start.doubles.map {
            KernelReference.AdamW(
                parameter: $0, learningRate: Double(rate), beta1: Double(beta1), beta2: Double(beta2),
                epsilon: Double(epsilon), weightDecay: Double(decay))
        }
        for step in 1...20 {
            let gradient = Matrix.random(rows: 1, columns: count, seed: UInt64(step))
            parameters.applyAdamW(
                gradient: gradient, firstMoment: &first, secondMoment: &second, learningRate: rate, beta1: beta1,
                beta2: beta2, step: step, epsilon: epsilon, weightDecay: decay, gradientScale: 0.5)
            for index in twins.indices { twins[index].advance(gradient: 0.5 * gradient.doubles[index], step: step) }
            let scale = max(1, twins.map { abs($0.parameter) }.max() ?? 0)
            #expect(
                deviation(parameters.doubles, from: twins.map(\.parameter), relativeTo: scale)
                    < Double(step) * KernelReference.optimizerTolerance)
        }
        #expect(deviation(first.doubles, from: twins.map(\.firstMoment)) < 1e-5)
        #expect(deviation(second.doubles, from: twins.map(\.secondMoment)) < 1e-5)
    }
}
