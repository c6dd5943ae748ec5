import Transformer

/// No curvature at all: the vector itself, so that scores are inner products of gradients (TracIn at the last checkpoint, Pruthi
/// et al. 2020). Damping plays no part, and scores are not in nats.
public struct IdentityInverse: InverseCurvature {
    public init() {}

    public func solve(_ vectors: [ParameterVector], control: SolveControl) throws -> InverseProducts {
        InverseProducts(vectors: vectors, cost: SolveCost())
    }
}
