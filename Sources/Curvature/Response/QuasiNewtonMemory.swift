import Transformer

/// The limited-memory BFGS approximation of an inverse Hessian (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4): what is known
/// of it beforehand, corrected by how the gradient changed along the last steps.
struct QuasiNewtonMemory {
    /// `s`, `y = r(x + s) - r(x)` and `1 / sᵀy`.
    private struct Step {
        let change: ParameterVector
        let gradientChange: ParameterVector
        let inverseCurvature: Double
    }

    private let initial: KroneckerInverse
    private let capacity: Int
    private var steps: [Step] = []
    /// What the initial inverse is too small by, along the last step.
    private var scale = 1.0

    /// - Parameters:
    ///   - initial: The inverse Hessian before any step.
    ///   - capacity: Steps that are kept, the last ones.
    init(_ initial: KroneckerInverse, capacity: Int) {
        self.initial = initial
        self.capacity = capacity
    }

    /// The approximate inverse Hessian times a gradient.
    func applied(to gradient: ParameterVector) -> ParameterVector {
        var result = gradient
        var shares = [Double](repeating: 0, count: steps.count)
        for index in steps.indices.reversed() {
            shares[index] = steps[index].inverseCurvature * steps[index].change.dot(result)
            result.add(steps[index].gradientChange, scaledBy: -shares[index])
        }
        result = initial.applied(to: result)
        result.scale(by: scale)
        for index in steps.indices {
            let share = steps[index].inverseCurvature * steps[index].gradientChange.dot(result)
            result.add(steps[index].change, scaledBy: shares[index] - share)
        }
        return result
    }

    /// Learns from a step; one along which the gradient did not rise has nothing to tell and is left out.
    mutating func add(change: ParameterVector, gradientChange: ParameterVector) {
        let curvature = change.dot(gradientChange)
        guard curvature > 0 else { return }
        scale = curvature / gradientChange.dot(initial.applied(to: gradientChange))
        if steps.count == capacity { steps.removeFirst() }
        steps.append(Step(change: change, gradientChange: gradientChange, inverseCurvature: 1 / curvature))
    }

    mutating func forget() {
        steps = []
        scale = 1
    }
}
