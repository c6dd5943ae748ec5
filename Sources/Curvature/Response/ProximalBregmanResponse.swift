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
/// Minimised by Adam (Kingma and Ba 2015) from the trained parameters, with a step that falls to zero by a cosine. Because the
/// divergence's gradient is zero there for *every* batch, and not only in the mean over all of them, what batches disagree about
/// is as small as the displacement. How long it is goes by how far EK-FAC expects a layer's parameters to move; EK-FAC decides
/// nothing else.
public struct ProximalBregmanResponse: Sendable {
    public struct Options: Sendable, Equatable, Codable {
        /// `ε`: how much weight the sequence's loss is given beside the mean over all sequences; not zero. One over
        /// their number is one more copy of the sequence.
        public var weight: Double
        public var iterations: Int
        /// Sequences of a batch of the divergence; all of them where there are no more.
        public var batchSize: Int
        /// How far Adam's steps could take a parameter in all, in units of the root mean square of its layer's displacement by
        /// EK-FAC. Some parameters go many times as far as that.
        public var reach: Double
        /// Of the order of the sequences.
        public var seed: UInt64

        public init(
            weight: Double, iterations: Int = 400, batchSize: Int = 32, reach: Double = 40, seed: UInt64 = 0
        ) {
            self.weight = weight
            self.iterations = iterations
            self.batchSize = batchSize
            self.reach = reach
            self.seed = seed
        }

        enum CodingKeys: String, CodingKey {
            case weight, iterations
            case batchSize = "batch_size"
            case reach, seed
        }
    }

    /// Where the parameters went.
    public struct Response: Sendable {
        /// `θ(ε) - θ_base`
        public let displacement: ParameterVector
        /// The objective's gradient r at the end in relation to `ε ∇L(z)`, its gradient g at the beginning:
        /// `√(rᵀ P⁻¹ r / gᵀ P⁻¹ g)`, P being EK-FAC. Found on the last batch and a few more.
        public let residual: Double
        public let cost: SolveCost
    }

    let matrix: GaussNewtonMatrix
    let inverse: KroneckerInverse
    let damping: [Double]
    public let options: Options

    /// - Parameters:
    ///   - matrix: The model, and the sequences whose outputs are held; its number of workers plays no part here.
    ///   - damping: λ in place of each layer's own.
    public init(_ matrix: GaussNewtonMatrix, factors: EKFACFactors, damping: Double? = nil, _ options: Options) {
        self.matrix = matrix
        inverse = KroneckerInverse(corrected: factors, damping: damping)
        self.damping = factors.damping(damping)
        self.options = options
    }

    /// Moves the parameters for one sequence, on the calling thread.
    ///
    /// - Parameters:
    ///   - sequence: z, at least two tokens.
    ///   - key: With the seed, decides the order of the sequences.
    /// - Throws: What `control.step` threw, ``SolveError``, or what reading sequences threw.
    public func response(
        to sequence: [Int32], key: UInt64 = 0, control: SolveControl = SolveControl()
    ) throws -> Response {
        guard matrix.count > 0 else { throw SolveError.noSequences }
        let start = Date()
        var objective = Objective(self, sequence: sequence, key: key)
        let first = try objective.gradient(at: nil, control)
        let expected = inverse.applied(to: first)
        // The mean of the cosine is a half.
        let longest = 2 * options.reach / Double(max(options.iterations, 1)) * abs(options.weight)
        let rates = expected.layers.map { longest * $0.rootMeanSquare }
        let scale = first.rootMeanSquare
        guard scale > 0 else { throw SolveError.withoutGradient }
        var displacement = ParameterVector(zeroOf: matrix.tracked)
        var mean = displacement
        var square = displacement
        for iteration in 0..<options.iterations {
            control.progress(iteration, options.iterations)
            let gradient = try objective.gradient(at: displacement, control)
            let decay = 0.5 * (1 + cos(.pi * Double(iteration) / Double(options.iterations)))
            for layer in displacement.layers.indices {
                displacement.layers[layer].applyAdamW(
                    gradient: gradient.layers[layer], firstMoment: &mean.layers[layer],
                    secondMoment: &square.layers[layer], learningRate: Float(rates[layer] * decay), beta1: 0.9,
                    beta2: 0.999, step: iteration + 1, epsilon: 1e-8, weightDecay: 0,
                    // The gradient of an objective divided by a negative weight points the other way.
                    gradientScale: Float((options.weight < 0 ? -1 : 1) / scale))
            }
            guard displacement.isFinite else { throw SolveError.notFinite }
        }
        control.progress(options.iterations, options.iterations)
        let residual = try objective.meanGradient(at: displacement, control)
        var cost = objective.cost
        cost.iterations = options.iterations
        cost.seconds = Date().timeIntervalSince(start)
        let share = max(residual.dot(inverse.applied(to: residual)), 0) / first.dot(expected)
        return Response(displacement: displacement, residual: share.squareRoot(), cost: cost)
    }

    /// Seconds that one of Adam's steps takes on one thread, going by a few.
    public func secondsOfAStep(on sequence: [Int32], _ control: SolveControl = SolveControl()) throws -> Double {
        let displacement = ParameterVector(zeroOf: matrix.tracked)
        var objective = Objective(self, sequence: sequence, key: 0)
        // The first makes room that the others use again.
        _ = try objective.gradient(at: displacement, control)
        let steps = 3
        let start = Date()
        for _ in 0..<steps { _ = try objective.gradient(at: displacement, control) }
        return Date().timeIntervalSince(start) / Double(steps)
    }

    /// The model with its parameters where they went.
    ///
    /// What a measurement changed by from the model as it was, over the weight, is comparable with the sequence's influence on it.
    /// Losses are Float32: a change of less than some 1e-5 nats is rounding.
    public func model(after response: Response) -> DecoderModel {
        matrix.decoder.displaced(along: response.displacement, tracked: matrix.tracked, by: 1)
    }
}

extension Matrix {
    fileprivate var rootMeanSquare: Double { (squaredNorm / Double(max(count, 1))).squareRoot() }
}

extension ParameterVector {
    fileprivate var rootMeanSquare: Double { (squaredNorm / Double(max(count, 1))).squareRoot() }
}
