import Curvature
import Files
import LinearAlgebra
import Transformer

extension NeumannIteration.Options {
    /// How ASTRA iterates for queries.
    public static let forQueries = NeumannIteration.Options(iterations: 48, batchSize: 32, seed: 0)
}

extension InfluenceQuery.Estimator {
    /// The cost of a query's inverse product, as the approximate number of sequences whose sweep costs the same.
    public func sequences(ofCorpus count: Int) -> Int {
        let options = NeumannIteration.Options.forQueries
        // A product is a forward, a tangent and a backward pass. Scoring is a forward and half a backward pass.
        return self == .astra ? 2 * options.iterations * min(options.batchSize, count) : 0
    }
}

extension InfluenceEngine {
    /// - Parameter step: Called before each query.
    func gradients(of queries: [TokenizedQuery], step: @Sendable () throws -> Void = {}) throws -> [QueryGradient] {
        let slots = (0..<workers.count).map { _ in WorkerSlot(DecoderWorkspace()) }
        return try workers.map(queries.indices) { worker, index in
            try step()
            return try slots[worker].withState { workspace in
                func gradient(_ continuation: TokenizedContinuation, measured: [Int]?) -> QueryGradient {
                    QueryGradient(
                        tokens: continuation.tokens, completionStart: continuation.completionStart, measured: measured,
                        decoder: decoder, tracked: factors.tracked, workspace: &workspace)
                }
                func gradient(_ part: TokenizedQuery.Part) -> QueryGradient {
                    let own = gradient(part.completion, measured: part.measured)
                    return part.contrast.map { own.held(against: gradient($0, measured: nil)) } ?? own
                }
                let parts = queries[index].parts
                guard let first = parts.first, parts.count > 1 || first.share != 1 else { return gradient(parts[0]) }
                var sum = BehaviourGradient(of: factors.tracked)
                for part in parts {
                    try step()
                    sum.add(gradient(part), scaledBy: part.share)
                }
                return sum.gradient
            }
        }
    }

    func curvature(asOf corpusSequences: Int) throws -> GaussNewtonMatrix {
        let corpus = corpus
        let rowids = try corpus.rowids(asOf: corpusSequences)
        let source = FactorFit.Source(count: rowids.count, digest: try corpus.digest()) { range in
            try corpus.trainingSequences(rowids: Array(rowids[range]))
        }
        return GaussNewtonMatrix(
            decoder: decoder, tracked: factors.tracked, source: source, workers: workers, batchTokens: batchTokens)
    }

    /// Multiplies a query's gradient by the inverse curvature, if its estimator is one that iterates.
    ///
    /// Each query is solved alone, so that its scores do not depend on the other queries of its batch.
    func solve(
        _ gradient: inout QueryGradient, for query: InfluenceQuery, with curvature: GaussNewtonMatrix,
        control: WorkControl<WorkProgress>
    ) throws -> InfluenceResult.Method {
        guard query.estimator == .astra else { return InfluenceResult.Method(estimator: query.estimator) }
        let astra = NeumannIteration.astra(curvature, factors: factors, damping: query.damping, astra)
        let solved = try astra.solve([gradient.whole], control: control)
        gradient.solution = solved.vectors[0]
        let cost = solved.cost
        return InfluenceResult.Method(
            estimator: query.estimator, iterations: cost.iterations, sequences: cost.sequences, tokens: cost.tokens,
            seconds: cost.seconds, step: cost.step, residual: cost.residual)
    }

    /// Preconditions the gradient of each query's measurement, and compresses it as the query asks. Where the estimator iterates, the
    /// gradient must have its solution.
    ///
    /// - Parameter step: Called before each layer of each query, on the thread that computes it; what it throws ends the work.
    /// - Returns: For each query, its preconditioned gradient, or the error because of which it has none. The error does not affect other
    ///   queries.
    public func precondition(
        _ gradients: [QueryGradient], for queries: [InfluenceQuery], step: @Sendable () throws -> Void = {}
    ) throws -> [Result<PreconditionedQuery, QueryError>] {
        let slots = (0..<workers.count).map { _ in WorkerSlot(LayerPreconditioning()) }
        let layers = try workers.map(factors.layers.indices) { worker, layer in
            try slots[worker].withState { preconditioning in
                let own = queries.indices.filter { queries[$0].estimator == .ekfac }
                var preconditioned = try preconditioning.preconditioned(
                    own.map { query in
                        LayerPreconditioning.Gradient(
                            gradients[query].layers[layer], damping: queries[query].damping, rank: queries[query].rank)
                    }, factors: factors.layers[layer], step: step
                )[...]
                return try queries.indices.map { query -> Result<PreconditionedLayer, EigenError> in
                    let (gradient, asked) = (gradients[query], queries[query])
                    switch asked.estimator {
                    case .ekfac: return preconditioned.removeFirst()
                    case .identity:
                        try step()
                        return PreconditionedLayer.compressed(gradient.layers[layer].whole, rank: asked.rank)
                    case .astra:
                        try step()
                        guard let solution = gradient.solution else {
                            throw QueryError.failed(
                                reason: "the query's gradient was not solved for before it was scored")
                        }
                        return PreconditionedLayer.compressed(solution.layers[layer], rank: asked.rank)
                    }
                }
            }
        }
        return queries.indices.map { query in
            var own: [PreconditionedLayer] = []
            for (layer, found) in zip(factors.tracked.layers, layers) {
                switch found[query] {
                case .success(let preconditioned): own.append(preconditioned)
                case .failure(let error):
                    return .failure(QueryError(error, in: layer.name, damping: queries[query].damping))
                }
            }
            return .success(PreconditionedQuery(layers: own))
        }
    }
}

extension QueryError {
    fileprivate init(_ error: EigenError, in layer: String, damping: Double?) {
        let gradient = "the query's gradient in layer \"\(layer)\""
        switch (error, damping) {
        case (.notFinite, let damping?):
            self = .unusable(
                field: "damping",
                reason: "with \(damping), \(gradient) times the inverse curvature leaves the range of single "
                    + "precision: give another")
        case (.notFinite, nil):
            self = .failed(
                reason: "\(gradient) is not finite: the model overflows on this prompt and completion, or its weights "
                    + "are damaged")
        default: self = .failed(reason: "\(gradient) could not be compressed: \(error)")
        }
    }
}

// MARK: - Names for checkpoints

extension InfluenceEngine {
    /// The digest of all that every query's scores depend on: the model, the factors, the layers that they track, and the precision.
    func scoringDigest() -> ContentDigest {
        var digest = factors.scoringDigest(modelDigest: modelDigest)
        if precision != .float32 { digest.update(counted: precision.rawValue) }
        return digest
    }

    /// Names a query as a sweep scores it: `base` is ``scoringDigest()``, and the query was solved when the corpus had `corpusSequences`.
    func key(
        of query: InfluenceQuery, _ tokenized: TokenizedQuery, breakdown: CandidateSweep.Breakdown,
        corpusSequences: Int, base: ContentDigest
    ) -> ContentKey {
        var digest = base
        for part in tokenized.parts {
            digest.update(part.completion.tokens)
            digest.update(UInt64(part.completion.completionStart))
            if let measured = part.measured {
                digest.update(counted: "measured")
                digest.update(measured.map(Int32.init))
            }
            if let contrast = part.contrast {
                digest.update(counted: "contrast")
                digest.update(contrast.tokens)
                digest.update(UInt64(contrast.completionStart))
            }
            if part.share != 1 {
                digest.update(counted: "share")
                digest.update(part.share.bitPattern)
            }
        }
        switch query.rank {
        case .full: digest.update(0 as UInt64)
        case .limited(let rank): digest.update(UInt64(rank))
        case .faithful: digest.update(counted: "auto")
        }
        digest.update(query.damping?.bitPattern ?? 0)
        digest.update(counted: query.estimator.rawValue)
        if query.estimator == .astra {
            for number in [astra.iterations, astra.batchSize, corpusSequences] { digest.update(UInt64(number)) }
            digest.update(astra.seed)
            digest.update(astra.step?.bitPattern ?? 0)
        }
        digest.update(UInt64(breakdown.rawValue))
        return ContentKey(digest)
    }
}
