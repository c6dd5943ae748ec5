import Foundation

/// The plain twin of every kernel in CVectorKernels.h: Double, one row at a time, as the textbooks have it.
///
/// A kernel must be within the tolerance beside its twin, as a share of the largest magnitude in the result unless it says
/// otherwise.
enum KernelReference {}

// MARK: Normalisation

extension KernelReference {
    /// Sums of some hundred Float32 terms.
    static let normTolerance = 1e-5

    struct Normalized {
        var outputs: [Double]
        var mean: Double
        var reciprocal: Double
    }

    static func layerNorm(_ x: [Double], gain: [Double], bias: [Double]?, epsilon: Double) -> Normalized {
        let mean = x.reduce(0, +) / Double(x.count)
        let variance = x.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(x.count)
        let reciprocal = 1 / (variance + epsilon).squareRoot()
        let outputs = x.indices.map { (x[$0] - mean) * reciprocal * gain[$0] + (bias?[$0] ?? 0) }
        return Normalized(outputs: outputs, mean: mean, reciprocal: reciprocal)
    }

    static func rootMeanSquareNorm(_ x: [Double], gain: [Double], epsilon: Double) -> Normalized {
        let reciprocal = 1 / (x.map { $0 * $0 }.reduce(0, +) / Double(x.count) + epsilon).squareRoot()
        return Normalized(outputs: x.indices.map { x[$0] * reciprocal * gain[$0] }, mean: 0, reciprocal: reciprocal)
    }

    /// The product of the output gradients with the whole Jacobian, entry by entry:
    /// `∂n_j/∂x_i = r (δ_ij - [centred] 1/n) - (x_i - m) (x_j - m) r³ / n`.
    static func normGradient(
        _ dy: [Double], x: [Double], gain: [Double], mean: Double, reciprocal r: Double, isCentred: Bool
    ) -> [Double] {
        let n = Double(x.count)
        return x.indices.map { i in
            x.indices.reduce(0) { sum, j in
                let direct = (i == j ? 1.0 : 0.0) - (isCentred ? 1 / n : 0)
                let jacobian = r * direct - (x[i] - mean) * (x[j] - mean) * r * r * r / n
                return sum + dy[j] * gain[j] * jacobian
            }
        }
    }

    static func gainGradient(_ dy: [[Double]], x: [[Double]], statistics: [(mean: Double, reciprocal: Double)])
        -> [Double]
    {
        x[0].indices.map { column in
            x.indices.reduce(0) { sum, row in
                let (mean, reciprocal) = statistics[row]
                return sum + dy[row][column] * (x[row][column] - mean) * reciprocal
            }
        }
    }

    static func biasGradient(_ dy: [[Double]]) -> [Double] {
        dy[0].indices.map { column in dy.reduce(0) { $0 + $1[column] } }
    }
}

// MARK: Activations

extension KernelReference {
    /// Of 1 or the input's magnitude, whichever is larger: the exponential is good to 2 ulp.
    static let activationTolerance = 2e-6

    static func geluTanh(_ x: Double) -> Double { 0.5 * x * (1 + tanh(geluArgument(x))) }

    static func geluTanhDerivative(_ x: Double) -> Double {
        let t = tanh(geluArgument(x))
        let slope = (2 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope
    }

    private static func geluArgument(_ x: Double) -> Double {
        (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
    }

    static func geluErf(_ x: Double) -> Double { x * normalCumulative(x) }

    static func geluErfDerivative(_ x: Double) -> Double {
        normalCumulative(x) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
    }

    private static func normalCumulative(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

    static func geluTanhGate(gate: Double, up: Double) -> Double { geluTanh(gate) * up }

    static func geluTanhGateGradients(_ dy: Double, gate: Double, up: Double) -> (gate: Double, up: Double) {
        (dy * up * geluTanhDerivative(gate), dy * geluTanh(gate))
    }

    static func softCap(_ x: Double, cap: Double, scale: Double) -> Double { cap * tanh(scale * x / cap) }

    static func softCapDerivative(_ x: Double, cap: Double, scale: Double) -> Double {
        let t = tanh(scale * x / cap)
        return scale * (1 - t * t)
    }

    static func siluGate(gate: Double, up: Double) -> Double { gate * sigmoid(gate) * up }

    static func siluGateGradients(_ dy: Double, gate: Double, up: Double) -> (gate: Double, up: Double) {
        let s = sigmoid(gate)
        return (dy * up * (s + gate * s * (1 - s)), dy * gate * s)
    }

    private static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
}

// MARK: Attention

extension KernelReference {
    /// Of 1: probabilities.
    static let softmaxTolerance = 2e-6
    static let softmaxGradientTolerance = 1e-5
    static let rotationTolerance = 1e-6

    static func softmax(_ x: [Double]) -> [Double] {
        let largest = x.max() ?? 0
        let weights = x.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    static func causalSoftmax(_ x: [[Double]], scale: Double, firstLimit: Int, window: Int = .max) -> [[Double]] {
        x.enumerated().map { row, values in
            let hidden = max(0, firstLimit + row - window)
            let seen = values.prefix(firstLimit + row).dropFirst(hidden).map { $0 * scale }
            return [Double](repeating: 0, count: hidden) + softmax(seen)
                + [Double](repeating: 0, count: values.count - hidden - seen.count)
        }
    }

    static func softmaxGradient(_ dp: [Double], p: [Double], scale: Double) -> [Double] {
        let along = zip(p, dp).map { $0 * $1 }.reduce(0, +)
        return zip(p, dp).map { scale * $0 * ($1 - along) }
    }

    /// One head vector, turned pair by pair (i, i + half) through `angles`.
    static func rotateHalves(_ x: [Double], angles: [Double]) -> [Double] {
        var turned = x
        for (i, angle) in angles.enumerated() {
            let (a, b) = (x[i], x[i + angles.count])
            turned[i] = a * cos(angle) - b * sin(angle)
            turned[i + angles.count] = b * cos(angle) + a * sin(angle)
        }
        return turned
    }
}

// MARK: Loss

extension KernelReference {
    /// Of 1 or the loss, whichever is larger.
    static let lossTolerance = 2e-6

    static func crossEntropy(_ logits: [Double], label: Int) -> (loss: Double, gradient: [Double]) {
        var gradient = softmax(logits)
        let largest = logits.max() ?? 0
        let loss = log(logits.map { exp($0 - largest) }.reduce(0, +)) - (logits[label] - largest)
        gradient[label] -= 1
        return (loss, gradient)
    }

    /// Where the label's share of [0, 1) lies when all shares are laid side by side.
    static func share(of label: Int, _ logits: [Double]) -> ClosedRange<Double> {
        let p = softmax(logits)
        let start = p[..<label].reduce(0, +)
        return start...(start + p[label])
    }
}

// MARK: Sums

extension KernelReference {
    /// A segment is summed in Float32, in lanes.
    static let segmentTolerance = 1e-5
    /// Accumulated in Float64.
    static let dotTolerance = 1e-12
    /// One Float32 operation an element.
    static let elementTolerance = 2e-7

    static func dot(_ left: some Sequence<Double>, _ right: some Sequence<Double>) -> Double {
        zip(left, right).reduce(0) { $0 + $1.0 * $1.1 }
    }

    static func segmentedDots(_ left: [Double], _ right: [Double], width: Int) -> [Double] {
        stride(from: 0, to: left.count, by: width).map { dot(left[$0..<($0 + width)], right[$0..<($0 + width)]) }
    }
}

// MARK: Optimisation

extension KernelReference {
    /// Of the largest parameter.
    static let optimizerTolerance = 1e-6

    struct AdamW {
        var parameter: Double
        var firstMoment = 0.0
        var secondMoment = 0.0
        var learningRate: Double
        var beta1: Double
        var beta2: Double
        var epsilon: Double
        var weightDecay: Double

        /// Loshchilov and Hutter 2019, algorithm 2.
        mutating func advance(gradient: Double, step: Int) {
            firstMoment = beta1 * firstMoment + (1 - beta1) * gradient
            secondMoment = beta2 * secondMoment + (1 - beta2) * gradient * gradient
            let mean = firstMoment / (1 - pow(beta1, Double(step)))
            let square = secondMoment / (1 - pow(beta2, Double(step)))
            parameter -= learningRate * (mean / (square.squareRoot() + epsilon) + weightDecay * parameter)
        }
    }
}

// MARK: Number formats

extension KernelReference {
    /// IEEE 754 binary16 from its fields. Exact: a kernel must give the very value.
    static func float16(_ pattern: UInt16) -> Double {
        value(pattern, exponentBits: 5, mantissaBits: 10)
    }

    /// The upper half of a binary32, from its fields. Exact.
    static func bfloat16(_ pattern: UInt16) -> Double {
        value(pattern, exponentBits: 8, mantissaBits: 7)
    }

    private static func value(_ pattern: UInt16, exponentBits: Int, mantissaBits: Int) -> Double {
        let sign = pattern >> 15 == 1 ? -1.0 : 1.0
        let largestExponent = 1 << exponentBits - 1
        let exponent = Int(pattern >> UInt16(mantissaBits)) & largestExponent
        let mantissa = Double(pattern & (1 << UInt16(mantissaBits) - 1))
        let bias = largestExponent >> 1
        let unit = pow(2, Double(-mantissaBits))
        switch exponent {
        case 0: return sign * mantissa * unit * pow(2, Double(1 - bias))
        case largestExponent: return mantissa == 0 ? sign * .infinity : .nan
        default: return sign * (1 + mantissa * unit) * pow(2, Double(exponent - bias))
        }
    }
}
