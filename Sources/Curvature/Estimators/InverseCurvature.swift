import Transformer

/// A way to find `(C + λI)⁻¹ v` for vectors of the tracked parameters, where C is the Gauss-Newton matrix
/// ``GaussNewtonMatrix`` or an approximation of it.
///
/// The damping λ is that of EK-FAC, one number a layer: ``EKFACFactors/damping(_:)``. What influence functions differ in is
/// this step alone (Grosse et al. 2023, section 2.2; Bae et al. 2022).
public protocol InverseCurvature: Sendable {
    /// - Parameters:
    ///   - vectors: Of the tracked layers' shapes; all are worked on together, which shares forward passes.
    ///   - control: What is reported and asked on the way.
    /// - Throws: What `control.step` threw, ``SolveError``, or what reading sequences threw.
    func solve(_ vectors: [ParameterVector], control: SolveControl) throws -> InverseProducts
}

extension InverseCurvature {
    public func solve(_ vectors: [ParameterVector]) throws -> InverseProducts {
        try solve(vectors, control: SolveControl())
    }
}

/// `(C + λI)⁻¹ v` of some vectors, and what it took to find them.
public struct InverseProducts: Sendable {
    public var vectors: [ParameterVector]
    public var cost: SolveCost

    public init(vectors: [ParameterVector], cost: SolveCost) {
        self.vectors = vectors
        self.cost = cost
    }
}

/// What an inverse product took. All is zero where nothing was run through the model.
public struct SolveCost: Sendable, Equatable {
    /// Steps of the iteration, those of abandoned attempts included.
    public var iterations = 0
    /// Sequences run through the model, one counted again each time and once for each vector.
    public var sequences = 0
    /// Their tokens.
    public var tokens = 0
    public var seconds = 0.0
    /// The step size, where the method has one.
    public var step: Double?
    /// The largest of the vectors' `‖v - (G + λI) x‖ / ‖v‖` when the iteration last looked, G being that of its last batch. Where the
    /// iteration has a preconditioner P, norms are `√(rᵀ P⁻¹ r)`: the plain one is all of the steepest directions, in which
    /// the least error of x is much.
    public var residual: Double?

    public init() {}

    mutating func add(_ work: GaussNewtonMatrix.Work) {
        sequences += work.sequences
        tokens += work.tokens
    }
}

/// What a solve reports and asks while it is under way; used from several threads at a time.
public struct SolveControl: Sendable {
    /// Told how many iterations are done, of how many at most.
    public var progress: @Sendable (_ done: Int, _ total: Int) -> Void
    /// Called before each micro-batch, on the thread that computes it; what it throws ends the work.
    public var step: @Sendable () throws -> Void

    public init(
        progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in },
        step: @escaping @Sendable () throws -> Void = {}
    ) {
        self.progress = progress
        self.step = step
    }
}

/// Why an inverse product could not be found.
public enum SolveError: Error, Equatable, CustomStringConvertible {
    case noSequences
    /// The iteration grew without bound, however small its step was made.
    case diverged(iteration: Int, step: Double)
    /// The factors do not say how many tokens they were fitted on.
    case unknownTokenCount
    case notFinite
    /// A sequence whose loss does not depend on the tracked parameters, as one of a single token.
    case withoutGradient

    public var description: String {
        switch self {
        case .noSequences: "the corpus has no sequences to find the model's curvature on: import some first"
        case .diverged(let iteration, let step):
            "the iteration grew without bound (iteration \(iteration), step \(step)): give a smaller step, larger batches "
                + "or more damping"
        case .unknownTokenCount:
            "the factors do not say how many tokens they were fitted on, without which K-FAC's eigenvalues have no scale: "
                + "use factors that tributary fitted"
        case .notFinite: "a product with the model's curvature is not finite: its weights may be damaged"
        case .withoutGradient:
            "a sequence's loss has no gradient in the tracked parameters: it needs two tokens at least"
        }
    }
}

extension EKFACFactors {
    /// The damping λ of each layer: the given number for all, or 0.1 times the mean of the layer's own Λ.
    public func damping(_ given: Double? = nil) -> [Double] { layers.map { given ?? $0.defaultDamping } }
}
