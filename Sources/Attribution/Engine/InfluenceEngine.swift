import Corpus
import Curvature
import Foundation
import LinearAlgebra
import Tokenizer
import Transformer

/// Answers influence queries: a model, its factors in memory, and a corpus.
///
///     gradients -> precondition -> compress -> candidates -> one sweep over their union -> rank, rescore the top
public final class InfluenceEngine: Sendable {
    public let name: String
    public let decoder: DecoderModel
    public let modelDigest: String
    public let tokenizer: Tokenizer
    public let factors: EKFACFactors
    public let corpus: CorpusStore
    public let index: IndexAvailability
    /// What all sweeps together have scored.
    public let tally = SweepTally()
    public let precision: SweepPrecision
    let workers: Workers
    let batchTokens: Int
    /// How ASTRA iterates: the same for all queries, so that scores of one can be compared with another's.
    let astra: NeumannIteration.Options
    /// What candidates are first swept with: ``decoder``, or that in half precision.
    private let sweepDecoder: DecoderModel

    /// The most memory that full-rank queries of one rescoring pass may take.
    public static let fullRankBytes = 1 << 30
    /// The most memory that a sweep's queries take multiplied out: where they would take more, they are left in their thin factors.
    public static let wholeQueryBytes = ScoringCost.gradientBytes

    public init(
        name: String, checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore,
        index: IndexAvailability = .missing, precision: SweepPrecision = .float32, workers: Workers = Workers(),
        batchTokens: Int? = nil, astra: NeumannIteration.Options = .forQueries
    ) {
        self.name = name
        decoder = checkpoint.decoder
        self.precision = precision
        sweepDecoder = precision == .bfloat16 ? decoder.inHalfPrecision() : decoder
        modelDigest = checkpoint.digest
        tokenizer = checkpoint.tokenizer
        self.factors = factors
        self.corpus = corpus
        self.index = index
        self.workers = workers
        self.batchTokens = batchTokens ?? checkpoint.decoder.microBatchTokens
        self.astra = astra
    }

    /// - Parameters:
    ///   - precision: The engine's own, or a higher one.
    ///   - tokens: The tokens of sequences, in the order asked for.
    func sweep(
        in precision: SweepPrecision, _ tokens: @escaping @Sendable ([Int64]) throws -> [[Int32]]
    ) -> CandidateSweep {
        CandidateSweep(
            decoder: precision == .float32 ? decoder : sweepDecoder, tracked: factors.tracked, workers: workers,
            batchTokens: batchTokens, tally: tally,
            tokens: tokens)
    }

    /// The gradient of each query's measurement, preconditioned and compressed as each query asks; that of one whose estimator
    /// iterates must have its solution.
    ///
    /// - Parameter step: Called before each layer of each query, on the thread that computes it; what it throws ends the work.
    /// - Returns: For each query its preconditioned gradient, or why it has none: that does not concern the other queries.
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

    /// The gradients of queries, in order.
    ///
    /// - Parameter step: Called before each query.
    func gradients(of queries: [TokenizedQuery], step: @Sendable () throws -> Void = {}) throws -> [QueryGradient] {
        let slots = (0..<workers.count).map { _ in WorkerSlot(DecoderWorkspace()) }
        return try workers.map(queries.indices) { worker, index in
            try step()
            return slots[worker].withState { workspace in
                func gradient(_ continuation: TokenizedContinuation, measured: [Int]?) -> QueryGradient {
                    QueryGradient(
                        tokens: continuation.tokens, completionStart: continuation.completionStart, measured: measured,
                        decoder: decoder, tracked: factors.tracked, workspace: &workspace)
                }
                let query = queries[index]
                let own = gradient(query.completion, measured: query.measured)
                return query.contrast.map { own.held(against: gradient($0, measured: nil)) } ?? own
            }
        }
    }

    /// Queries in groups whose full-rank matrices fit in memory together.
    func rescoringGroups(of queries: [Int]) -> [ArraySlice<Int>] {
        let bytes = factors.tracked.layers.reduce(0) { $0 + $1.parameters * MemoryLayout<Float>.stride }
        let size = max(1, Self.fullRankBytes / max(bytes, 1))
        return stride(from: 0, to: queries.count, by: size).map { queries[$0..<min($0 + size, queries.count)] }
    }
}

extension QueryError {
    /// Why a query's gradient could not be preconditioned in a layer.
    fileprivate init(_ error: EigenError, in layer: String, damping: Double?) {
        let place = "the query's gradient in layer \"\(layer)\""
        switch (error, damping) {
        case (.notFinite, let damping?):
            self = .unusable(
                field: "damping",
                reason: "with \(damping), \(place) times the inverse curvature leaves the range of single precision: "
                    + "give another")
        case (.notFinite, nil):
            self = .failed(
                reason: "\(place) is not finite: the model overflows on this prompt and completion, or its weights "
                    + "are damaged")
        default: self = .failed(reason: "\(place) could not be compressed: \(error)")
        }
    }
}
