import Transformer

/// A way to find `(C + λI)⁻¹ v` for vectors of the tracked parameters, where C is the Gauss-Newton matrix
/// ``GaussNewtonMatrix`` or an approximation of it.
///
/// The damping λ is that of EK-FAC, one number per layer: ``EKFACFactors/damping(_:)``. Methods of influence functions differ only in
/// this step (Grosse et al. 2023, section 2.2; Bae et al. 2022).
public protocol InverseCurvature: Sendable {
    /// Solves for several vectors of the tracked layers' shapes together, which shares forward passes.
    ///
    /// - Throws: The error of `control.step`, ``SolveError``, or the error of reading sequences.
    func solve(_ vectors: [ParameterVector], control: WorkControl<WorkProgress>) throws -> InverseProducts
}

extension InverseCurvature {
    public func solve(_ vectors: [ParameterVector]) throws -> InverseProducts {
        try solve(vectors, control: WorkControl())
    }
}

/// `(C + λI)⁻¹ v` of some vectors, and what it cost to find them.
public struct InverseProducts: Sendable {
    public var vectors: [ParameterVector]
    public var cost: SolveCost

    public init(vectors: [ParameterVector], cost: SolveCost) {
        self.vectors = vectors
        self.cost = cost
    }
}

/// The cost of an inverse product. All of it is zero if nothing was run through the model.
public struct SolveCost: Sendable, Equatable {
    /// Steps of the iteration, including those of abandoned attempts.
    public var iterations = 0
    /// Sequences run through the model. A sequence counts once per run and vector.
    public var sequences = 0
    /// The tokens of these sequences.
    public var tokens = 0
    public var seconds = 0.0
    /// The step size, if the method has one.
    public var step: Double?
    /// The largest `‖v - (G + λI) x‖ / ‖v‖` over the vectors when the iteration last measured it, with the G of its last batch. If the
    /// iteration has a preconditioner P, norms are `√(rᵀ P⁻¹ r)`: in the plain norm the steepest directions, in which a small error of x
    /// is a large residual, hide all others.
    public var residual: Double?

    public init() {}

    package mutating func add(_ work: GaussNewtonMatrix.Work) {
        sequences += work.sequences
        tokens += work.tokens
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
    /// The loss of a sequence does not depend on the tracked parameters, as for a sequence of a single token.
    case withoutGradient

    public var description: String {
        switch self {
        case .noSequences: "the corpus has no sequences on which to find the model's curvature: import some first"
        case .diverged(let iteration, let step):
            "the iteration grew without bound (iteration \(iteration), step \(step)): give a smaller step, larger batches "
                + "or more damping"
        case .unknownTokenCount:
            "the factors do not record how many tokens they were fitted on, and K-FAC's eigenvalues have no scale without that "
                + "number: use factors that tributary fitted"
        case .notFinite: "a product with the model's curvature is not finite: its weights may be damaged"
        case .withoutGradient:
            "a sequence's loss has no gradient in the tracked parameters: it needs at least two tokens"
        }
    }
}

extension EKFACFactors {
    /// The damping λ of each layer: the given number for every layer, or otherwise 0.1 times the mean of the layer's own Λ.
    public func damping(_ given: Double? = nil) -> [Double] { layers.map { given ?? $0.defaultDamping } }
}
