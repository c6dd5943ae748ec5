import Foundation
import LinearAlgebra
import Transformer

/// Stochastic Neumann iteration for `(G + λI) x = v`: `x ← x + η P⁻¹ (v - (G_B + λI) x)`, G_B the Gauss-Newton matrix of one
/// batch of sequences.
///
/// With P the identity this is LiSSA (Agarwal et al. 2017; Koh and Liang 2017), `η` being what is elsewhere one over the
/// scale. With EK-FAC for P it is ASTRA (Wang et al. 2025, "Better Training Data Attribution via Better Inverse Hessian-Vector
/// Products"), which begins with EK-FAC's own answer and takes away its error.
///
/// Where no step is given it is one over the largest eigenvalue of `P⁻¹ (G_B + λI)`, by power iteration over a few batches, at
/// most 1. A step at which the residual grows, or the iterate beyond what any solution can be, `‖v‖ / λ`, is halved and
/// the iteration begun again. Where a batch is not all of the sequences, the result is the mean of the second half of the iterates
/// (Polyak and Juditsky 1992), in which the batches' noise averages out.
public struct NeumannIteration: InverseCurvature {
    public struct Options: Sendable, Equatable {
        public var iterations: Int
        /// Sequences of a batch; all of them where there are no more.
        public var batchSize: Int
        /// `η`; found where nil.
        public var step: Double?
        /// Of the order of the sequences, and of the power iteration's start.
        public var seed: UInt64

        public init(iterations: Int, batchSize: Int, step: Double? = nil, seed: UInt64 = 0) {
            self.iterations = iterations
            self.batchSize = batchSize
            self.step = step
            self.seed = seed
        }
    }

    private let matrix: GaussNewtonMatrix
    private let damping: [Double]
    /// nil for the identity.
    private let preconditioner: KroneckerInverse?
    private let options: Options

    /// Products in search of the largest eigenvalue.
    private static let powerIterations = 8
    /// How often the step is halved before the iteration is given up.
    private static let halvings = 6
    /// By how much a residual may exceed the first one: another batch's may be larger, one that grows is of too long a step.
    private static let growth = 4.0

    /// LiSSA.
    ///
    /// - Parameter damping: λ of each layer.
    public static func lissa(_ matrix: GaussNewtonMatrix, damping: [Double], _ options: Options) -> NeumannIteration {
        NeumannIteration(matrix: matrix, damping: damping, preconditioner: nil, options: options)
    }

    /// ASTRA, with the factors that are there as its preconditioner.
    ///
    /// - Parameter damping: λ in place of the layers' own, for the system and the preconditioner alike.
    public static func astra(
        _ matrix: GaussNewtonMatrix, factors: EKFACFactors, damping: Double? = nil, _ options: Options
    ) -> NeumannIteration {
        NeumannIteration(
            matrix: matrix, damping: factors.damping(damping),
            preconditioner: KroneckerInverse(corrected: factors, damping: damping), options: options)
    }

    public func solve(_ vectors: [ParameterVector], control: SolveControl) throws -> InverseProducts {
        guard matrix.count > 0 else { throw SolveError.noSequences }
        let start = Date()
        var cost = SolveCost()
        var order = SequenceOrder(count: matrix.count, batchSize: options.batchSize, seed: options.seed)
        var step = try options.step ?? largestStep(&order, &cost, control)
        for _ in 0...Self.halvings {
            if let solved = try iterate(vectors, step: step, &order, &cost, control) {
                cost.seconds = Date().timeIntervalSince(start)
                cost.step = step
                return InverseProducts(vectors: solved, cost: cost)
            }
            step /= 2
        }
        throw SolveError.diverged(iteration: cost.iterations, step: 2 * step)
    }

    /// - Returns: nil if the iterates grew without bound.
    private func iterate(
        _ vectors: [ParameterVector], step: Double, _ order: inout SequenceOrder, _ cost: inout SolveCost,
        _ control: SolveControl
    ) throws -> [ParameterVector]? {
        let lengths = vectors.map(\.norm)
        let energies = vectors.map { $0.dot(preconditioner?.applied(to: $0) ?? $0) }
        let weakest = max(damping.min() ?? 0, .leastNormalMagnitude)
        var solutions =
            preconditioner.map { inverse in vectors.map(inverse.applied(to:)) }
            ?? vectors.map { vector in
                var start = vector
                start.scale(by: step)
                return start
            }
        let averagesFrom = order.isComplete ? options.iterations : options.iterations / 2
        var means = solutions
        var averaged = 0
        var first: Double?
        for iteration in 0..<options.iterations {
            control.progress(iteration, options.iterations)
            var residuals = try dampedProducts(of: solutions, over: order.next(), &cost, control)
            cost.residual = 0
            for place in vectors.indices {
                residuals[place].scale(by: -1)
                residuals[place].add(vectors[place])
                let change = preconditioner?.applied(to: residuals[place]) ?? residuals[place]
                if energies[place] > 0 {
                    let share = max(residuals[place].dot(change), 0) / energies[place]
                    cost.residual = max(cost.residual ?? 0, share.squareRoot())
                }
                solutions[place].add(change, scaledBy: step)
                // What solves the system is no longer than ‖v‖ / λ; the rest is room for the way there.
                guard solutions[place].norm <= 4 * lengths[place] / weakest else { return nil }
            }
            cost.iterations += 1
            let residual = cost.residual ?? 0
            guard residual <= Self.growth * (first ?? residual) else { return nil }
            first = first ?? residual
            if iteration >= averagesFrom {
                averaged += 1
                for place in means.indices {
                    means[place].scale(by: Double(averaged - 1) / Double(averaged))
                    means[place].add(solutions[place], scaledBy: 1 / Double(averaged))
                }
            }
        }
        control.progress(options.iterations, options.iterations)
        return averaged > 0 ? means : solutions
    }

    /// `(G_B + λI) x` of each vector.
    private func dampedProducts(
        of vectors: [ParameterVector], over sequences: [Int], _ cost: inout SolveCost, _ control: SolveControl
    ) throws -> [ParameterVector] {
        var (products, work) = try matrix.products(of: vectors, over: sequences, control: control)
        cost.add(work)
        for place in products.indices { products[place].add(vectors[place], scaledBy: damping) }
        return products
    }

    /// One over the largest eigenvalue of `P⁻¹ (G_B + λI)`, at most 1 where P approximates the system.
    private func largestStep(
        _ order: inout SequenceOrder, _ cost: inout SolveCost, _ control: SolveControl
    ) throws -> Double {
        var vector = ParameterVector(normalOf: matrix.tracked, seed: options.seed)
        var largest = 0.0
        for iteration in 0..<Self.powerIterations {
            let length = vector.norm
            guard length > 0, length.isFinite else { break }
            vector.scale(by: 1 / length)
            var product = try dampedProducts(of: [vector], over: order.next(), &cost, control)[0]
            if let preconditioner { product = preconditioner.applied(to: product) }
            // The first products are of what the random start was, and not yet of the largest eigenvector.
            if iteration >= Self.powerIterations / 2 { largest = max(largest, product.norm) }
            vector = product
        }
        guard largest > 0, largest.isFinite else { throw SolveError.notFinite }
        return preconditioner == nil ? 1 / largest : min(1, 1 / largest)
    }
}

/// Batches of sequences: all of them in a random order, and then again in another.
struct SequenceOrder {
    private let count: Int
    private let batchSize: Int
    private var generator: SplitMix64
    private var rest: [Int] = []

    init(count: Int, batchSize: Int, seed: UInt64) {
        self.count = count
        self.batchSize = min(max(batchSize, 1), count)
        generator = SplitMix64(seed: seed)
    }

    /// Whether each batch has all the sequences.
    var isComplete: Bool { batchSize == count }

    /// The next batch, in ascending order.
    mutating func next() -> [Int] {
        if isComplete { return Array(0..<count) }
        if rest.count < batchSize { rest = (0..<count).shuffled(using: &generator) }
        defer { rest.removeLast(batchSize) }
        return rest.suffix(batchSize).sorted()
    }
}
