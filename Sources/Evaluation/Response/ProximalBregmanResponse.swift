import Foundation
import LinearAlgebra
import Transformer

/// The proximal Bregman response function: where the tracked parameters go when one sequence's loss is given some more weight, and
/// the model is otherwise held to its own outputs and its own parameters (Bae et al. 2022, "If influence functions are the
/// answer, then what is the question?", section 4.2; Grosse et al. 2023, section 5.1).
///
///     θ(ε) = argmin  mean over sequences of Σ KL(p_base ‖ p_θ)  +  Σ_l λ_l / 2 ‖θ_l - θ_base,l‖²  +  ε L(z, θ)
///
/// The divergence's curvature at the trained parameters is ``GaussNewtonMatrix``, its gradient there is zero, and so to first
/// order `θ(ε) - θ_base = -ε (G + λI)⁻¹ ∇L(z)`: a measurement f changes by `ε ∇fᵀ (G + λI)⁻¹ ∇log p(z)`, which is ε times the
/// influence of z. What an estimator's score is compared with is therefore `(f(θ(ε)) - f(θ_base)) / ε`, found by training
/// and without any inverse.
///
/// Minimised by limited-memory BFGS from the trained parameters, over the same sequences at each step, until next to nothing is
/// left of the objective's gradient. The divergence of a model that has learned its corpus is far steeper in some directions than in others:
/// steps of one length for all, as Adam's, are thousands away from the minimum, and batches disagree about it more than the step is long.
/// EK-FAC is what the approximation of the inverse Hessian begins with, which decides how soon the minimum is reached and not where it
/// is: ``Response/residual`` says how near it came.
public struct ProximalBregmanResponse: Sendable {
    public struct Options: Sendable, Equatable, Codable {
        /// `ε`: how much weight the sequence's loss is given beside the mean over all sequences; not zero. One over
        /// their number is one more copy of the sequence.
        public var weight: Double
        /// At most so many steps.
        public var iterations: Int
        /// ``Response/residual`` at which the minimum counts as reached.
        public var tolerance: Double
        /// On how many sequences the model is held to its outputs, evenly spread; nil for all.
        public var heldSequences: Int?

        public init(weight: Double, iterations: Int = 100, tolerance: Double = 0.1, heldSequences: Int? = nil) {
            self.weight = weight
            self.iterations = iterations
            self.tolerance = tolerance
            self.heldSequences = heldSequences
        }
    }

    /// Where the parameters went.
    public struct Response: Sendable {
        /// `θ(ε) - θ_base`
        public let displacement: ParameterVector
        /// The objective's gradient r at the end in relation to `ε ∇L(z)`, its gradient g at the beginning:
        /// `√(rᵀ P⁻¹ r / gᵀ P⁻¹ g)`, P being EK-FAC. 0 at the minimum; that nothing was done would be 1.
        public let residual: Double
        public let cost: SolveCost
    }

    let matrix: GaussNewtonMatrix
    let inverse: KroneckerInverse
    let damping: [Double]
    /// The sequences on which the model is held to its outputs, by their place.
    let held: [Int]
    public let options: Options

    /// Steps that limited-memory BFGS remembers.
    public static let memory = 40
    /// What a step may leave of the slope that it went down. A looser bound takes fewer gradients a step, and more steps.
    private static let mostSlope = 0.7
    /// Gradients in search of a step's length.
    private static let trials = 8

    /// - Parameters:
    ///   - matrix: The model, and the sequences whose outputs are held; its number of workers plays no part here.
    ///   - damping: λ in place of each layer's own.
    public init(_ matrix: GaussNewtonMatrix, factors: EKFACFactors, damping: Double? = nil, _ options: Options) {
        self.matrix = matrix
        inverse = KroneckerInverse(corrected: factors, damping: damping)
        self.damping = factors.damping(damping)
        self.options = options
        let count = min(max(options.heldSequences ?? matrix.count, 1), matrix.count)
        held = (0..<count).map { $0 * matrix.count / count }
    }

    /// Moves the parameters for one sequence, on the calling thread.
    ///
    /// - Parameters:
    ///   - sequence: z, at least two tokens.
    /// - Throws: What `control.step` threw, ``SolveError``, or what reading sequences threw.
    public func response(to sequence: [Int32], control: SolveControl = SolveControl()) throws -> Response {
        guard matrix.count > 0 else { throw SolveError.noSequences }
        let start = Date()
        var objective = try Objective(self, sequence: sequence)
        var memory = QuasiNewtonMemory(inverse, capacity: Self.memory)
        // `(θ - θ_base) / ε`, in which the objective has one size and one curvature whatever the weight and its sign.
        var place = ParameterVector(zeroOf: matrix.tracked)
        var gradient = try objective.gradient(at: place, control)
        let energy = gradient.dot(inverse.applied(to: gradient))
        guard energy.isFinite else { throw SolveError.notFinite }
        guard energy > 0 else { throw SolveError.withoutGradient }
        func residual(_ gradient: ParameterVector) -> Double {
            (max(gradient.dot(inverse.applied(to: gradient)), 0) / energy).squareRoot()
        }
        var left = 1.0
        var steps = 0
        while steps < options.iterations, left > options.tolerance {
            control.progress(steps, options.iterations)
            guard let step = try step(from: place, gradient, &memory, &objective, control) else { break }
            memory.add(change: step.change, gradientChange: step.gradient.minus(gradient))
            place.add(step.change)
            gradient = step.gradient
            guard place.isFinite else { throw SolveError.notFinite }
            left = residual(gradient)
            steps += 1
        }
        control.progress(options.iterations, options.iterations)
        place.scale(by: options.weight)
        var cost = objective.cost
        cost.iterations = steps
        cost.residual = left
        cost.seconds = Date().timeIntervalSince(start)
        return Response(displacement: place, residual: left, cost: cost)
    }

    /// A step down to where the slope along it is small, found without the objective's value: in Float32 that has no digits left
    /// near the minimum, where the slope still does.
    ///
    /// - Returns: nil where rounding leaves no way down.
    private func step(
        from place: ParameterVector, _ gradient: ParameterVector, _ memory: inout QuasiNewtonMemory,
        _ objective: inout Objective, _ control: SolveControl
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
            var there = place
            there.add(change)
            let found = try objective.gradient(at: there, control)
            let foundSlope = found.dot(direction)
            let isShallow = abs(foundSlope) <= Self.mostSlope * abs(slope)
            if foundSlope.isFinite, isShallow || trial == Self.trials { return (change, found) }
            if foundSlope < 0 {
                lower = (length, foundSlope)
                // Regula falsi, as it is, creeps up to an end whose slope is too great for the other to count (the Illinois rule).
                upper?.slope /= 2
            } else {
                upper = (length, foundSlope)
            }
            length = Self.length(between: lower, and: upper)
        }
        // The last trial is taken as it is, unless nothing there is a number.
        throw SolveError.notFinite
    }

    /// Where the slope would be zero were it linear, kept away from both ends.
    private static func length(
        between lower: (length: Double, slope: Double), and upper: (length: Double, slope: Double)?
    ) -> Double {
        guard let upper else { return 3 * lower.length }
        let share = upper.slope.isFinite ? lower.slope / (lower.slope - upper.slope) : 0.1
        return lower.length + min(max(share, 0.02), 0.98) * (upper.length - lower.length)
    }

    /// Seconds that one gradient of the objective takes on one thread.
    public func secondsOfAGradient(on sequence: [Int32], _ control: SolveControl = SolveControl()) throws -> Double {
        var objective = try Objective(self, sequence: sequence)
        let start = Date()
        // Away from the trained parameters, where the divergence has a gradient.
        _ = try objective.gradient(at: ParameterVector(normalOf: matrix.tracked, seed: 0), control)
        return Date().timeIntervalSince(start)
    }

    /// The model with its parameters where they went.
    ///
    /// What a measurement changed by from the model as it was, over the weight, is comparable with the sequence's influence on it.
    /// Losses are Float32: a change of less than some 1e-5 nats is rounding.
    public func model(after response: Response) -> DecoderModel {
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
    /// The gradient of what is minimised, at `θ_base + ε x`, divided by the weight ε: at `x = 0` it is that of the sequence's loss,
    /// and its derivative there is `G + λI`.
    struct Objective {
        private let response: ProximalBregmanResponse
        private let sequence: TokenBatch
        private let batches: [TokenBatch]
        private var workspace = DecoderWorkspace()
        private var baseWorkspace = DecoderWorkspace()
        private var tap: GradientSumTap
        private(set) var cost = SolveCost()

        init(_ response: ProximalBregmanResponse, sequence: [Int32]) throws {
            self.response = response
            var batch = TokenBatch()
            batch.append(sequence)
            self.sequence = batch
            batches = try response.matrix.batches(of: response.held) { _ in .nextTokens }
            tap = GradientSumTap(response.matrix.tracked)
        }

        /// - Parameter place: `x`.
        mutating func gradient(at place: ParameterVector, _ control: SolveControl) throws -> ParameterVector {
            let matrix = response.matrix
            let weight = response.options.weight
            tap.sum.reset()
            var decoder = matrix.decoder
            if place.squaredNorm > 0 {
                decoder.displace(along: place, tracked: matrix.tracked, by: weight)
                for batch in batches {
                    try control.step()
                    decoder.runDivergence(
                        batch, from: matrix.decoder, in: &workspace, &baseWorkspace, tracked: matrix.tracked,
                        tap: &tap)
                    cost.add(GaussNewtonMatrix.Work(sequences: batch.sequences.count, tokens: batch.tokens.count))
                }
                tap.sum.scale(by: 1 / (weight * Double(response.held.count)))
                tap.sum.add(place, scaledBy: response.damping)
            }
            try control.step()
            decoder.run(sequence, in: &workspace, tracked: matrix.tracked, tap: &tap)
            return tap.sum
        }
    }
}

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
