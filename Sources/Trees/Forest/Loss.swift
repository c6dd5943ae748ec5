import Foundation

/// A loss of raw predictions F, one for each class, and its derivatives as the libraries take them in training.
///
/// With the mean `p` of F (F itself, the sigmoid, or the softmax) and the target `t` (the label, or 1 for the label's class and 0 for the
/// others): the gradient is `g = p - t`, and `h` and `c` are functions of `p` alone. For softmax, `h` has a factor that compensates for the
/// redundant class, so `h` is not the derivative of `g`.
public enum Loss: Sendable, Equatable {
    /// ½(F - y)².
    case squared
    /// log(1 + exp F) - y F, with y 0 or 1.
    case logistic
    /// log Σ exp F - F_y; `factor` multiplies h: K/(K-1) in LightGBM, 2 in XGBoost.
    case softmax(classes: Int, factor: Double)

    /// The number of raw predictions.
    public var outputs: Int {
        if case .softmax(let classes, _) = self { classes } else { 1 }
    }

    public var name: String {
        switch self {
        case .squared: "squared"
        case .logistic: "logistic"
        case .softmax: "softmax"
        }
    }

    /// Replaces F by its mean.
    ///
    /// - Parameters:
    ///   - raw: The raw predictions of several rows, the classes of a row side by side.
    ///   - start: The index of a row's first raw prediction.
    @inline(__always)
    func activate(_ raw: inout [Double], at start: Int) {
        switch self {
        case .squared: break
        case .logistic: raw[start] = Self.sigmoid(raw[start])
        case .softmax(let classes, _):
            var largest = raw[start]
            for k in 1..<classes { largest = max(largest, raw[start + k]) }
            var sum = 0.0
            for k in 0..<classes {
                raw[start + k] = exp(raw[start + k] - largest)
                sum += raw[start + k]
            }
            for k in 0..<classes { raw[start + k] /= sum }
        }
    }

    static func sigmoid(_ raw: Double) -> Double { 1 / (1 + exp(-raw)) }

    /// The target of a class.
    @inline(__always)
    func target(_ label: Double, _ output: Int) -> Double {
        if case .softmax = self { Int(label) == output ? 1 : 0 } else { label }
    }

    /// h, the second derivative that the library uses, at a mean.
    @inline(__always)
    func hessian(_ mean: Double) -> Double {
        switch self {
        case .squared: 1
        case .logistic: max(mean * (1 - mean), Self.smallestHessian)
        case .softmax(_, let factor): max(factor * mean * (1 - mean), Self.smallestHessian)
        }
    }

    /// c, the derivative of ``hessian(_:)`` by the same class's F.
    @inline(__always)
    func third(_ mean: Double) -> Double {
        switch self {
        case .squared: 0
        case .logistic: mean * (1 - mean) * (1 - 2 * mean)
        case .softmax(_, let factor): factor * mean * (1 - mean) * (1 - 2 * mean)
        }
    }

    /// XGBoost's bound, far below what rounding leaves of other libraries' sums.
    private static let smallestHessian = 1e-16

    /// The predictions in the label's terms: a number, the probability of label 1, or the probability of each class.
    public func means(of raw: [Double]) -> [Double] {
        var means = raw
        activate(&means, at: 0)
        return means
    }

    /// The loss of raw predictions.
    public func value(_ raw: [Double], label: Double) -> Double {
        switch self {
        case .squared: return 0.5 * (raw[0] - label) * (raw[0] - label)
        case .logistic:
            // log(1 + exp F) without overflow.
            return max(raw[0], 0) + log1p(exp(-abs(raw[0]))) - label * raw[0]
        case .softmax:
            let largest = raw.max() ?? 0
            return largest + log(raw.reduce(0) { $0 + exp($1 - largest) }) - raw[Int(label)]
        }
    }

    /// The gradient of the loss by each raw prediction.
    func gradient(_ raw: [Double], label: Double) -> [Double] {
        var mean = raw
        activate(&mean, at: 0)
        return mean.indices.map { mean[$0] - target(label, $0) }
    }

    /// The values that a label can have, for an error message.
    var expectedLabel: String {
        switch self {
        case .squared: "a finite number"
        case .logistic: "a label 0 or 1"
        case .softmax(let classes, _): "a label from 0 to \(classes - 1)"
        }
    }

    func allows(label: Double) -> Bool {
        switch self {
        case .squared: label.isFinite
        case .logistic: label == 0 || label == 1
        case .softmax(let classes, _): label >= 0 && label < Double(classes) && label == label.rounded()
        }
    }
}
