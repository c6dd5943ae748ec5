extension InfluenceQuery {
    /// How the inverse curvature is estimated that stands between the two gradients of an influence.
    public enum Estimator: String, Sendable, Codable, CaseIterable {
        /// The fitted factors' own inverse (George et al. 2018; Grosse et al. 2023).
        case ekfac
        /// The factors as the preconditioner of an iteration on the model's exact Gauss-Newton matrix (Wang et al. 2025): what
        /// the factors leave out, such as what lies between layers, comes in step by step.
        case astra
        /// None: scores are inner products of gradients, and not in nats.
        case identity
    }
}

extension InfluenceResult {
    /// How the query's gradient was multiplied by the inverse curvature, and what that took.
    public struct Method: Sendable, Equatable, Codable {
        public var estimator: InfluenceQuery.Estimator
        /// What follows is there for an estimator that iterates.
        public var iterations: Int?
        /// Sequences run through the model on the way, one counted again each time.
        public var sequences: Int?
        /// Their tokens.
        public var tokens: Int?
        public var seconds: Double?
        /// The step size at which the iteration held.
        public var step: Double?
        /// `‖∇f - (G + λI) x‖ / ‖∇f‖` at the last step, G being that of its batch of sequences, and norms those of the
        /// preconditioner: `√(rᵀ P⁻¹ r)`.
        public var residual: Double?

        public init(estimator: InfluenceQuery.Estimator) {
            self.estimator = estimator
        }
    }
}
