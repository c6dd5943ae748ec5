/// What ranks training sequences for a query, and is compared with the others.
public enum EstimatorKind: String, Sendable, Codable, CaseIterable {
    case ekfac
    /// Without the correction of the eigenvalues.
    case kfac
    /// The curvature's diagonal alone.
    case diagonal
    /// The inner product of gradients.
    case identity
    /// The cosine of the angle between the gradients.
    case cosine
    case lissa
    case conjugateGradients = "conjugate_gradients"
    case astra
    /// Words in common: no gradients.
    case tfidf

    /// Whether it multiplies by the Gauss-Newton matrix, which takes long.
    public var iterates: Bool { self == .lissa || self == .conjugateGradients || self == .astra }
}

/// What a comparison of estimators is made with.
public struct EstimatorSettings: Sendable, Codable, Equatable {
    public var estimators = EstimatorKind.allCases
    /// Sequences scored for each query: half those with most words in common, half drawn from the whole corpus.
    public var candidates = 200
    /// λ in place of each layer's own.
    public var damping: Double?
    /// Sequences of the corpus, evenly spread, on which the diagonal is found and conjugate gradients work.
    public var curvatureSequences = 512
    public var conjugateGradientIterations = 30
    /// `‖v - (G + λI) x‖ / ‖v‖` at which conjugate gradients end.
    public var tolerance = 0.01
    public var lissaIterations = 200
    public var astraIterations = 48
    /// Sequences of a batch of LiSSA and ASTRA, drawn from the whole corpus.
    public var batchSize = 32
    public var seed: UInt64 = 0

    public init() {}

    /// Sequences, at most, that an estimator multiplies by the curvature for one query.
    func products(of estimator: EstimatorKind, corpusSequences: Int) -> Int {
        // The search for a step takes some products as well.
        let batch = min(batchSize, corpusSequences)
        switch estimator {
        case .lissa: return (lissaIterations + 8) * batch
        case .astra: return (astraIterations + 8) * batch
        case .conjugateGradients: return conjugateGradientIterations * min(curvatureSequences, corpusSequences)
        default: return 0
        }
    }

    enum CodingKeys: String, CodingKey {
        case estimators, candidates, damping, tolerance, seed
        case curvatureSequences = "curvature_sequences"
        case conjugateGradientIterations = "conjugate_gradient_iterations"
        case lissaIterations = "lissa_iterations"
        case astraIterations = "astra_iterations"
        case batchSize = "batch_size"
    }
}
