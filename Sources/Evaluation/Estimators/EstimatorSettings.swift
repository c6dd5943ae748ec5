/// A method that ranks training sequences for a query, and is compared with the others.
public enum EstimatorKind: String, Sendable, Codable, CaseIterable {
    case ekfac
    /// EK-FAC without the correction of the eigenvalues.
    case kfac
    /// Only the curvature's diagonal.
    case diagonal
    /// The inner product of gradients.
    case identity
    /// The cosine of the angle between the gradients.
    case cosine
    case lissa
    case conjugateGradients = "conjugate_gradients"
    case astra
    /// Lexical overlap: no gradients.
    case tfidf

    /// Whether it multiplies by the Gauss-Newton matrix, which takes a long time.
    public var iterates: Bool { self == .lissa || self == .conjugateGradients || self == .astra }
}

/// How estimators are set up.
public struct EstimatorSettings: Sendable, Codable, Equatable {
    public var estimators = EstimatorKind.allCases
    /// Sequences scored for each query: half those with the most lexical overlap, half drawn from the whole corpus.
    public var candidates = 200
    /// λ in place of each layer's own.
    public var damping: Double?
    /// Sequences of the corpus, evenly spread, that give the diagonal, and on which conjugate gradients work.
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

    /// The identity of a run: a run that is continued can ask for other estimators.
    var withoutEstimators: EstimatorSettings {
        var settings = self
        settings.estimators = []
        return settings
    }

    /// The most sequences that an estimator multiplies by the curvature for one query.
    func products(of estimator: EstimatorKind, corpusSequences: Int) -> Int {
        // The search for a step takes some products too.
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

/// What an estimator cost.
public struct EstimatorCost: Sendable, Codable, Equatable {
    public var name: EstimatorKind
    /// Once for all queries, in addition to the fit of the factors.
    public var setupSeconds: Double
    /// Per query, from its gradient to the vector that scores its candidates.
    public var secondsPerQuery: Double
    /// The memory that is held for all queries and for each query under way.
    public var bytes: Int
    /// Means over queries, for estimators that iterate.
    public var iterations: Double?
    public var sequences: Double?
    public var residual: Double?

    enum CodingKeys: String, CodingKey {
        case name
        case setupSeconds = "setup_seconds"
        case secondsPerQuery = "seconds_per_query"
        case bytes, iterations, sequences, residual
    }
}
