import Curvature
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// The proximal Bregman response function: where the tracked parameters go when one sequence's loss is given some more weight, and
/// the model is otherwise held to its own outputs and its own parameters (Bae et al. 2022, "If influence functions are the
/// answer, then what is the question?", section 4.2; Grosse et al. 2023, section 5.1).
///
///     θ(ε) = argmin  mean over sequences of Σ KL(p_base ‖ p_θ)  +  Σ_l λ_l / 2 ‖θ_l - θ_base,l‖²  +  ε L(z, θ)
///
/// The divergence's curvature at the trained parameters is ``GaussNewtonMatrix``, and its gradient there is zero. To first order,
/// therefore, `θ(ε) - θ_base = -ε (G + λI)⁻¹ ∇L(z)`, and a measurement f changes by `ε ∇fᵀ (G + λI)⁻¹ ∇log p(z)`, which is ε times the
/// influence of z. An estimator's score is compared with `(f(θ(ε)) - f(θ_base)) / ε`, which is found by training and without any inverse.
///
/// The objective is minimised by limited-memory BFGS from the trained parameters, over the same sequences at each step, until its gradient
/// has all but vanished. The divergence of a model that has learned its corpus is far steeper in some directions than in others. With steps
/// of one length for all directions, such as Adam's, the minimum is thousands of steps away, and batches disagree about it by more than the
/// length of a step. The approximation of the inverse Hessian starts with EK-FAC, which decides how soon the minimum is reached but not
/// where it is. ``Response/residual`` tells how near the minimum is.
struct ProximalBregmanResponse: Sendable {
    struct Options: Sendable, Equatable, Codable {
        /// `ε`: the weight of the sequence's loss, which is added to the mean over all sequences; not zero. One over the number of
        /// sequences stands for one more copy of the sequence.
        var weight: Double
        /// The most steps.
        var iterations = 100
        /// The ``Response/residual`` at which the minimum counts as reached.
        var tolerance = 0.1
        /// The number of sequences on which the model is held to its outputs, evenly spread; nil for all.
        var heldSequences: Int?
    }

    struct Response: Sendable {
        /// `θ(ε) - θ_base`
        let displacement: ParameterVector
        /// The objective's gradient r at the end relative to its gradient g at the beginning, `ε ∇L(z)`:
        /// `√(rᵀ P⁻¹ r / gᵀ P⁻¹ g)`, where P is EK-FAC. It is 1 before the first step and 0 at the minimum.
        let residual: Double
        let cost: SolveCost
    }

    let matrix: GaussNewtonMatrix
    let inverse: KroneckerInverse
    let damping: [Double]
    /// The indices of the sequences on which the model is held to its outputs.
    let held: [Int]
    let options: Options

    /// Steps that limited-memory BFGS remembers.
    static let memory = 40
    /// The largest slope at the end of a step, relative to that at its start. A looser bound takes fewer gradients per step, and more
    /// steps.
    private static let mostSlope = 0.7
    /// The most gradients that the search for a step's length takes.
    private static let trials = 8

    /// - Parameters:
    ///   - matrix: The model, and the sequences whose outputs are held. Its number of workers has no effect here.
    ///   - damping: λ in place of each layer's own.
    init(_ matrix: GaussNewtonMatrix, factors: EKFACFactors, damping: Double? = nil, _ options: Options) {
        self.matrix = matrix
        inverse = KroneckerInverse(corrected: factors, damping: damping)
        self.damping = factors.damping(damping)
        self.options = options
        let count = min(max(options.heldSequences ?? matrix.count, 1), matrix.count)
        held = (0..<count).map { $0 * matrix.count / count }
    }

    /// Moves the parameters for one sequence, on the calling thread.
    ///
    /// - Parameter sequence: z, at least two tokens.
    /// - Throws: The error of `control.step`, ``SolveError``, or the error of reading sequences.
    func response(to sequence: TrainingSequence, control: WorkControl<WorkProgress> = WorkControl()) throws -> Response
    {
        guard matrix.count > 0 else { throw SolveError.noSequences }
        let start = Date()
        var objective = try Objective(self, sequence: sequence)
        var memory = QuasiNewtonMemory(inverse, capacity: Self.memory)
        // `(θ - θ_base) / ε`, in which the objective has the same size and curvature whatever the weight and its sign.
        var point = ParameterVector(zeroOf: matrix.tracked)
        var gradient = try objective.gradient(at: point, control)
        let energy = gradient.dot(inverse.applied(to: gradient))
        guard energy.isFinite else { throw SolveError.notFinite }
        guard energy > 0 else { throw SolveError.withoutGradient }
        func residual(_ gradient: ParameterVector) -> Double {
            (max(gradient.dot(inverse.applied(to: gradient)), 0) / energy).squareRoot()
        }
        var remaining = 1.0
        var steps = 0
        while steps < options.iterations, remaining > options.tolerance {
            control.progress(WorkProgress(done: steps, total: options.iterations))
            guard let step = try step(from: point, gradient, &memory, &objective, control) else { break }
            memory.add(change: step.change, gradientChange: step.gradient.minus(gradient))
            point.add(step.change)
            gradient = step.gradient
            guard point.isFinite else { throw SolveError.notFinite }
            remaining = residual(gradient)
            steps += 1
        }
        control.progress(WorkProgress(done: options.iterations, total: options.iterations))
        point.scale(by: options.weight)
        var cost = objective.cost
        cost.iterations = steps
        cost.residual = remaining
        cost.seconds = Date().timeIntervalSince(start)
        return Response(displacement: point, residual: remaining, cost: cost)
    }

    /// A step down to a point where the slope along it is small. It is found without the objective's value, which near the minimum has no
    /// significant digits in Float32, where the slope still has some.
    ///
    /// - Returns: nil if rounding leaves no way down.
    private func step(
        from point: ParameterVector, _ gradient: ParameterVector, _ memory: inout QuasiNewtonMemory,
        _ objective: inout Objective, _ control: WorkControl<WorkProgress>
    ) throws -> (change: ParameterVector, gradient: ParameterVector)? {
        var direction = memory.applied(to: gradient)
        if gradient.dot(direction) <= 0 {
            memory.forget()
            direction = inverse.applied(to: gradient)
        }
        direction.scale(by: -1)
        let slope = gradient.dot(direction)
        guard slope < 0, slope.isFinite else { return nil }
        var lower = (length: 0.0, slope: slope)
        var upper: (length: Double, slope: Double)?
        var length = 1.0
        for trial in 1...Self.trials {
            var change = direction
            change.scale(by: length)
            var end = point
            end.add(change)
            let found = try objective.gradient(at: end, control)
            let foundSlope = found.dot(direction)
            let isShallow = abs(foundSlope) <= Self.mostSlope * abs(slope)
            if foundSlope.isFinite, isShallow || trial == Self.trials { return (change, found) }
            if foundSlope < 0 {
                lower = (length, foundSlope)
                // Plain regula falsi creeps towards one end if the slope at the other is far greater (the Illinois rule).
                upper?.slope /= 2
            } else {
                upper = (length, foundSlope)
            }
            length = Self.length(between: lower, and: upper)
        }
        // The last trial is accepted in any case, unless its slope is not finite.
        throw SolveError.notFinite
    }

    /// The length at which the slope would be zero if it were linear, kept away from both ends.
    private static func length(
        between lower: (length: Double, slope: Double), and upper: (length: Double, slope: Double)?
    ) -> Double {
        guard let upper else { return 3 * lower.length }
        let share = upper.slope.isFinite ? lower.slope / (lower.slope - upper.slope) : 0.1
        return lower.length + min(max(share, 0.02), 0.98) * (upper.length - lower.length)
    }

    /// Seconds that one gradient of the objective takes on one thread.
    func secondsOfAGradient(
        on sequence: TrainingSequence, _ control: WorkControl<WorkProgress> = WorkControl()
    ) throws -> Double {
        var objective = try Objective(self, sequence: sequence)
        let start = Date()
        // A point away from the trained parameters, at which the divergence has a gradient.
        _ = try objective.gradient(at: ParameterVector(normalOf: matrix.tracked, seed: 0), control)
        return Date().timeIntervalSince(start)
    }

    /// The change of a measurement from the original model, divided by the weight, is comparable with the sequence's influence on it.
    /// Losses are Float32: changes below about 1e-5 nats are rounding.
    func model(after response: Response) -> DecoderModel {
        matrix.decoder.displaced(along: response.displacement, tracked: matrix.tracked, by: 1)
    }
}

extension ParameterVector {
    fileprivate func minus(_ other: ParameterVector) -> ParameterVector {
        var difference = self
        difference.add(other, scaledBy: -1)
        return difference
    }
}

extension ProximalBregmanResponse {
    /// The gradient of the objective at `θ_base + ε x`, divided by the weight ε. At `x = 0` it is the gradient of the sequence's loss,
    /// and its derivative there is `G + λI`.
    struct Objective {
        private let response: ProximalBregmanResponse
        private let sequence: TokenBatch
        private let batches: [TokenBatch]
        private var workspace = DecoderWorkspace()
        private var baseWorkspace = DecoderWorkspace()
        private var tap: GradientSumTap
        private(set) var cost = SolveCost()

        init(_ response: ProximalBregmanResponse, sequence: TrainingSequence) throws {
            self.response = response
            var batch = TokenBatch()
            batch.append(sequence)
            self.sequence = batch
            batches = try response.matrix.batches(of: response.held) { _ in .nextTokens }
            tap = GradientSumTap(response.matrix.tracked)
        }

        /// - Parameter point: `x`.
        mutating func gradient(
            at point: ParameterVector, _ control: WorkControl<WorkProgress>
        ) throws -> ParameterVector {
            let matrix = response.matrix
            let weight = response.options.weight
            tap.sum.reset()
            var decoder = matrix.decoder
            if point.squaredNorm > 0 {
                decoder.displace(along: point, tracked: matrix.tracked, by: weight)
                for batch in batches {
                    try control.step()
                    decoder.runDivergence(
                        batch, from: matrix.decoder, in: &workspace, &baseWorkspace, tracked: matrix.tracked,
                        tap: &tap)
                    cost.add(GaussNewtonMatrix.Work(sequences: batch.sequences.count, tokens: batch.tokens.count))
                }
                tap.sum.scale(by: 1 / (weight * Double(response.held.count)))
                tap.sum.add(point, scaledBy: response.damping)
            }
            try control.step()
            decoder.run(sequence, in: &workspace, tracked: matrix.tracked, tap: &tap)
            return tap.sum
        }
    }
}

/// The limited-memory BFGS approximation of an inverse Hessian (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4): an initial
/// approximation, corrected by how the gradient changed along the last steps.
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
    /// The factor by which the initial inverse is too small along the last step.
    private var scale = 1.0

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

    /// Learns from a step. Steps along which the gradient did not rise are ignored.
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
