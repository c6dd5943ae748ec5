import Curvature
import Foundation
import Transformer

/// Conjugate gradients for `(G + λI) x = v` (Hestenes and Stiefel 1952; Martens 2010) over one fixed set of sequences, with EK-FAC as the
/// preconditioner if factors are given.
///
/// All vectors are solved side by side, so that their products share forward passes. Each stops when its own residual is small enough.
struct ConjugateGradients: InverseCurvature {
    private let matrix: GaussNewtonMatrix
    private let sequences: [Int]?
    private let damping: [Double]
    private let preconditioner: KroneckerInverse?
    private let iterations: Int
    private let tolerance: Double

    /// - Parameters:
    ///   - sequences: The matrix's sequences over which G is the mean; all by default.
    ///   - damping: λ of each layer.
    ///   - preconditioner: The method needs a fixed, symmetric positive definite inverse, as this type is.
    ///   - tolerance: The `‖v - (G + λI) x‖ / ‖v‖` at which a vector counts as solved.
    init(
        _ matrix: GaussNewtonMatrix, over sequences: [Int]? = nil, damping: [Double],
        preconditioner: KroneckerInverse? = nil, iterations: Int = 200, tolerance: Double = 1e-4
    ) {
        self.matrix = matrix
        self.sequences = sequences
        self.damping = damping
        self.preconditioner = preconditioner
        self.iterations = iterations
        self.tolerance = tolerance
    }

    /// The iteration of one vector.
    private struct Path {
        let length: Double
        var solution: ParameterVector
        var residual: ParameterVector
        var direction: ParameterVector
        /// `rᵀ P⁻¹ r` at the start, and now.
        let start: Double
        var energy: Double
        var isSpent = false

        var relativeResidual: Double { length > 0 ? residual.norm / length : 0 }
    }

    func solve(_ vectors: [ParameterVector], control: WorkControl<WorkProgress>) throws -> InverseProducts {
        let start = Date()
        var cost = SolveCost()
        let sequences = sequences ?? Array(0..<matrix.count)
        var paths = vectors.map { vector in
            var zero = vector
            zero.reset()
            let direction = preconditioner?.applied(to: vector) ?? vector
            let energy = vector.dot(direction)
            return Path(
                length: vector.norm, solution: zero, residual: vector, direction: direction, start: energy,
                energy: energy)
        }
        for iteration in 0..<iterations {
            let open = paths.indices.filter {
                paths[$0].relativeResidual > tolerance && paths[$0].energy > 0 && !paths[$0].isSpent
            }
            if open.isEmpty { break }
            control.progress(WorkProgress(done: iteration, total: iterations))
            let (products, work) = try matrix.products(
                of: open.map { paths[$0].direction }, over: sequences, control: control)
            cost.add(work)
            cost.iterations += 1
            for (index, product) in zip(open, products) { advance(&paths[index], product) }
        }
        control.progress(WorkProgress(done: iterations, total: iterations))
        cost.seconds = Date().timeIntervalSince(start)
        cost.residual = paths.map { $0.start > 0 ? (max($0.energy, 0) / $0.start).squareRoot() : 0 }.max()
        return InverseProducts(vectors: paths.map(\.solution), cost: cost)
    }

    /// Makes one step, given the product of G and the path's direction.
    private func advance(_ path: inout Path, _ product: ParameterVector) {
        var product = product
        product.add(path.direction, scaledBy: damping)
        let curvature = path.direction.dot(product)
        guard curvature > 0 else {
            // All that remains of the direction is rounding: no further step would help.
            path.isSpent = true
            return
        }
        let length = path.energy / curvature
        path.solution.add(path.direction, scaledBy: length)
        path.residual.add(product, scaledBy: -length)
        let next = preconditioner?.applied(to: path.residual) ?? path.residual
        let energy = path.residual.dot(next)
        path.direction.scale(by: energy / path.energy)
        path.direction.add(next)
        path.energy = energy
    }
}
