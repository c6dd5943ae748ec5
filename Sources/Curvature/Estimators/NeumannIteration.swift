import Foundation
import LinearAlgebra
import Transformer

/// Stochastic Neumann iteration for `(G + λI) x = v`: `x ← x + η P⁻¹ (v - (G_B + λI) x)`, where G_B is the Gauss-Newton matrix of one
/// batch of sequences.
///
/// With the identity for P this is LiSSA (Agarwal et al. 2017; Koh and Liang 2017), whose scale is `1 / η`. With EK-FAC for P it is ASTRA
/// (Wang et al. 2025, "Better Training Data Attribution via Better Inverse Hessian-Vector Products"), which starts from EK-FAC's answer
/// and removes its error.
///
/// If no step size is given, it is one over the largest eigenvalue of `P⁻¹ (G_B + λI)`, found by power iteration over a few batches, and at
/// most 1 with EK-FAC for P. If the residual grows to more than four times the first one, or the iterate to more than four times the norm
/// that any solution can have, `‖v‖ / λ`, the step size is halved and the iteration starts again. If a batch does not have all sequences,
/// the result is the mean of the second half of the iterates (Polyak and Juditsky 1992), in which the batches' noise averages out.
public struct NeumannIteration: InverseCurvature {
    public struct Options: Sendable, Equatable {
        public var iterations: Int
        /// Sequences per batch; a batch has all of them if there are no more.
        public var batchSize: Int
        /// The step size `η`; nil to find it.
        public var step: Double?
        /// The seed of the order of the sequences, and of the power iteration's start.
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

    /// Products that the search for the largest eigenvalue takes.
    private static let powerIterations = 8
    /// How often the step size is halved before the iteration gives up.
    private static let halvings = 6
    /// The largest ratio of a residual to the first one. Residuals differ between batches; one that grows further shows too large a step
    /// size.
    private static let growth = 4.0

    /// LiSSA, with `damping` for the λ of each layer.
    public static func lissa(_ matrix: GaussNewtonMatrix, damping: [Double], _ options: Options) -> NeumannIteration {
        NeumannIteration(matrix: matrix, damping: damping, preconditioner: nil, options: options)
    }

    /// ASTRA, with the fitted factors as its preconditioner.
    ///
    /// - Parameter damping: λ in place of the layers' own, for both the system and the preconditioner.
    public static func astra(
        _ matrix: GaussNewtonMatrix, factors: EKFACFactors, damping: Double? = nil, _ options: Options
    ) -> NeumannIteration {
        NeumannIteration(
            matrix: matrix, damping: factors.damping(damping),
            preconditioner: KroneckerInverse(corrected: factors, damping: damping), options: options)
    }

    public func solve(_ vectors: [ParameterVector], control: WorkControl<WorkProgress>) throws -> InverseProducts {
        guard matrix.count > 0 else { throw SolveError.noSequences }
        let start = Date()
        let order = SequenceOrder(count: matrix.count, batchSize: options.batchSize, seed: options.seed)
        var run = Run(order: order, control: control)
        var step = try options.step ?? largestStep(in: &run)
        for _ in 0...Self.halvings {
            if let solved = try iterate(vectors, step: step, in: &run) {
                run.cost.seconds = Date().timeIntervalSince(start)
                run.cost.step = step
                return InverseProducts(vectors: solved, cost: run.cost)
            }
            step /= 2
        }
        throw SolveError.diverged(iteration: run.cost.iterations, step: 2 * step)
    }

    /// One solve under way.
    private struct Run {
        var order: SequenceOrder
        var cost = SolveCost()
        let control: WorkControl<WorkProgress>
    }

    /// - Returns: nil if the iterates grew without bound.
    private func iterate(_ vectors: [ParameterVector], step: Double, in run: inout Run) throws -> [ParameterVector]? {
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
        let averagesFrom = run.order.isComplete ? options.iterations : options.iterations / 2
        var means = solutions
        var averaged = 0
        var first: Double?
        for iteration in 0..<options.iterations {
            run.control.progress(WorkProgress(done: iteration, total: options.iterations))
            var residuals = try dampedProducts(of: solutions, in: &run)
            run.cost.residual = 0
            for index in vectors.indices {
                residuals[index].scale(by: -1)
                residuals[index].add(vectors[index])
                let change = preconditioner?.applied(to: residuals[index]) ?? residuals[index]
                if energies[index] > 0 {
                    let share = max(residuals[index].dot(change), 0) / energies[index]
                    run.cost.residual = max(run.cost.residual ?? 0, share.squareRoot())
                }
                solutions[index].add(change, scaledBy: step)
                // A solution is no longer than ‖v‖ / λ; an iterate can be longer on the way there.
                guard solutions[index].norm <= 4 * lengths[index] / weakest else { return nil }
            }
            run.cost.iterations += 1
            let residual = run.cost.residual ?? 0
            guard residual <= Self.growth * (first ?? residual) else { return nil }
            first = first ?? residual
            if iteration >= averagesFrom {
                averaged += 1
                for index in means.indices {
                    means[index].scale(by: Double(averaged - 1) / Double(averaged))
                    means[index].add(solutions[index], scaledBy: 1 / Double(averaged))
                }
            }
        }
        run.control.progress(WorkProgress(done: options.iterations, total: options.iterations))
        return averaged > 0 ? means : solutions
    }

    /// `(G_B + λI) x` of each vector, over the next batch.
    private func dampedProducts(of vectors: [ParameterVector], in run: inout Run) throws -> [ParameterVector] {
        var (products, work) = try matrix.products(of: vectors, over: run.order.next(), control: run.control)
        run.cost.add(work)
        for index in products.indices { products[index].add(vectors[index], scaledBy: damping) }
        return products
    }

    /// One over the largest eigenvalue of `P⁻¹ (G_B + λI)`, at most 1 if P approximates the system.
    private func largestStep(in run: inout Run) throws -> Double {
        var vector = ParameterVector(normalOf: matrix.tracked, seed: options.seed)
        var largest = 0.0
        for iteration in 0..<Self.powerIterations {
            let length = vector.norm
            guard length > 0, length.isFinite else { break }
            vector.scale(by: 1 / length)
            var product = try dampedProducts(of: [vector], in: &run)[0]
            if let preconditioner { product = preconditioner.applied(to: product) }
            // The first products still depend on the random start, and not on the eigenvector of the largest eigenvalue alone.
            if iteration >= Self.powerIterations / 2 { largest = max(largest, product.norm) }
            vector = product
        }
        guard largest > 0, largest.isFinite else { throw SolveError.notFinite }
        return preconditioner == nil ? 1 / largest : min(1, 1 / largest)
    }
}

/// Batches of sequences in a random order. When too few remain for a batch, all sequences are shuffled again.
struct SequenceOrder {
    private let count: Int
    private let batchSize: Int
    private var generator: SplitMix64
    private var remaining: [Int] = []

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
        if remaining.count < batchSize { remaining = (0..<count).shuffled(using: &generator) }
        defer { remaining.removeLast(batchSize) }
        return remaining.suffix(batchSize).sorted()
    }
}
