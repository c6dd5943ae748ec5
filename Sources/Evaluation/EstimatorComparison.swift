import Attribution
import Corpus
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// Ranks candidates for some queries by every estimator, and compares the rankings (``EstimatorReport``).
///
///     query gradients -> each estimator's inverse product -> one sweep over all candidates -> correlations
public struct EstimatorComparison: Sendable {
    let model: String
    let checkpoint: Checkpoint
    let factors: EKFACFactors
    let corpus: CorpusStore
    let workers: Workers
    let settings: EstimatorSettings
    /// Seconds that an estimator may take; nil for as long as it takes.
    let limit: Double?

    public init(
        model: String, checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore,
        workers: Workers = Workers(), settings: EstimatorSettings = EstimatorSettings(), limit: Double? = 1_800
    ) {
        self.model = model
        self.checkpoint = checkpoint
        self.factors = factors
        self.corpus = corpus
        self.workers = workers
        self.settings = settings
        self.limit = limit
    }

    public struct Query: Sendable, Equatable {
        public var prompt: String
        public var completion: String

        public init(prompt: String, completion: String) {
            self.prompt = prompt
            self.completion = completion
        }
    }

    public struct Progress: Sendable, Equatable {
        public var stage: String
        public var done: Int
        public var total: Int
    }

    /// A query on its way.
    private struct Asked {
        let query: Query
        let gradient: ParameterVector
        /// In ascending order.
        let candidates: [Int64]
        /// TF-IDF's score of each candidate.
        let matches: [Double]
    }

    /// - Parameters:
    ///   - progress: Told of each step, from any thread.
    ///   - isCancelled: Asked before each micro-batch, from any thread.
    /// - Throws: ``EvaluationError``, `SolveError`, or what reading the corpus threw.
    public func run(
        _ queries: [Query], progress: @escaping @Sendable (Progress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> EstimatorReport {
        let rowids = try corpus.rowids()
        guard rowids.count >= 10 else { throw EvaluationError.tooFewSequences(found: rowids.count) }
        let step: @Sendable () throws -> Void = { if isCancelled() { throw EvaluationError.cancelled } }
        let matrix = curvature(rowids)
        try checkTimes(matrix, queries: queries.count, step: step)
        let asked = try queries.enumerated().map { try ask($1, number: $0, rowids) }
        var solved: [EstimatorKind: [ParameterVector]] = [:]
        var costs: [EstimatorReport.Estimator] = []
        for estimator in settings.estimators {
            let control = SolveControl(
                progress: { progress(Progress(stage: estimator.rawValue, done: $0, total: $1)) }, step: step)
            let (vectors, cost) = try solve(asked.map(\.gradient), by: estimator, matrix, control)
            solved[estimator] = vectors
            costs.append(cost)
        }
        let scores = try scores(of: asked, solved, progress: progress, step: step)
        return EstimatorReport(
            model: model, modelDigest: checkpoint.digest, corpusDigest: try corpus.digest(),
            corpusSequences: rowids.count, settings: settings,
            queries: asked.map {
                .init(prompt: $0.query.prompt, completion: $0.query.completion, candidates: $0.candidates.count)
            },
            estimators: costs, pearson: EstimatorReport.correlations(scores, by: Correlation.pearson),
            spearman: EstimatorReport.correlations(scores, by: Correlation.spearman))
    }

    private func curvature(_ rowids: [Int64]) -> GaussNewtonMatrix {
        let corpus = corpus
        return GaussNewtonMatrix(
            decoder: checkpoint.decoder, tracked: factors.tracked,
            source: FactorFit.Source(count: rowids.count, digest: "") { range in
                try corpus.tokens(rowids: Array(rowids[range]))
            }, workers: workers)
    }

    /// Some of the corpus's sequences, evenly spread, by their place.
    private func spread(over count: Int) -> [Int] {
        let kept = min(settings.curvatureSequences, count)
        return (0..<kept).map { $0 * count / kept }
    }

    /// Refuses estimators that would take longer than the limit, going by a few products.
    private func checkTimes(
        _ matrix: GaussNewtonMatrix, queries: Int, step: @escaping @Sendable () throws -> Void
    ) throws {
        guard let limit, settings.estimators.contains(where: \.iterates) else { return }
        let sample = Array(0..<min(2 * workers.count, matrix.count))
        let start = Date()
        _ = try matrix.products(
            of: [ParameterVector(normalOf: factors.tracked, seed: settings.seed)], over: sample,
            control: SolveControl(step: step))
        let seconds = Date().timeIntervalSince(start) / Double(sample.count)
        for estimator in settings.estimators where estimator.iterates {
            let products = settings.products(of: estimator, corpusSequences: matrix.count)
            let estimate = seconds * Double(products * queries)
            guard estimate <= limit else {
                throw EvaluationError.tooLong(
                    estimator: estimator, seconds: estimate, bytes: bytes(of: estimator), limit: limit)
            }
        }
    }

    /// What an estimator holds in memory beside the model and one query's gradient.
    private func bytes(of estimator: EstimatorKind) -> Int {
        let vector = factors.tracked.layers.reduce(0) { $0 + $1.parameters * MemoryLayout<Float>.stride }
        switch estimator {
        case .ekfac: return factors.byteCount
        // Its own eigenvalues in place of the corrected ones.
        case .kfac: return factors.byteCount
        case .diagonal: return vector
        case .identity, .cosine, .tfidf: return 0
        // A sum for each worker, and the iteration's own vectors.
        case .lissa: return (workers.count + 4) * vector
        case .conjugateGradients: return (workers.count + 4) * vector
        case .astra: return factors.byteCount + (workers.count + 6) * vector
        }
    }

    // MARK: Queries

    private func ask(_ query: Query, number: Int, _ rowids: [Int64]) throws -> Asked {
        let joined = checkpoint.tokenizer.encodeJoined(prompt: query.prompt, completion: query.completion)
        guard joined.completionStart > 0, joined.completionStart < joined.tokens.count else {
            throw EvaluationError.unusableQuery(
                prompt: query.prompt, reason: "prompt and completion must have at least a token each")
        }
        let context = checkpoint.decoder.description.contextLength
        guard joined.tokens.count <= context else {
            throw EvaluationError.unusableQuery(
                prompt: query.prompt, reason: "it has \(joined.tokens.count) tokens; the model's context is \(context)")
        }
        var batch = TokenBatch()
        batch.append(joined.tokens, labels: .nextTokensFrom(joined.completionStart))
        var workspace = DecoderWorkspace()
        var tap = GradientSumTap(factors.tracked)
        checkpoint.decoder.run(batch, in: &workspace, tracked: factors.tracked, tap: &tap)

        let found = try corpus.termIndex.search(queryTokens: joined.tokens, limit: rowids.count)
        let matches = Dictionary(found.map { ($0.rowid, $0.score) }) { first, _ in first }
        var chosen = Set(found.prefix(settings.candidates / 2).map(\.rowid))
        var generator = SplitMix64(seed: settings.seed &+ UInt64(number))
        for rowid in rowids.shuffled(using: &generator) where chosen.count < settings.candidates {
            chosen.insert(rowid)
        }
        let candidates = chosen.sorted()
        return Asked(
            query: query, gradient: tap.sum, candidates: candidates, matches: candidates.map { matches[$0] ?? 0 })
    }

    // MARK: Estimators

    private func inverse(
        _ estimator: EstimatorKind, _ matrix: GaussNewtonMatrix, _ control: SolveControl
    ) throws -> any InverseCurvature {
        let damping = factors.damping(settings.damping)
        func neumann(_ iterations: Int) -> NeumannIteration.Options {
            .init(iterations: iterations, batchSize: settings.batchSize, seed: settings.seed)
        }
        switch estimator {
        case .ekfac: return KroneckerInverse(corrected: factors, damping: settings.damping)
        case .kfac: return try KroneckerInverse(uncorrected: factors, damping: settings.damping)
        case .diagonal:
            return try DiagonalInverse(
                of: matrix, over: spread(over: matrix.count), seed: settings.seed, damping: damping, control: control)
        case .identity, .cosine, .tfidf: return IdentityInverse()
        case .lissa: return NeumannIteration.lissa(matrix, damping: damping, neumann(settings.lissaIterations))
        case .astra:
            return NeumannIteration.astra(
                matrix, factors: factors, damping: settings.damping, neumann(settings.astraIterations))
        case .conjugateGradients:
            return ConjugateGradients(
                matrix, over: spread(over: matrix.count), damping: damping,
                preconditioner: KroneckerInverse(corrected: factors, damping: settings.damping),
                iterations: settings.conjugateGradientIterations, tolerance: settings.tolerance)
        }
    }

    /// Each query is solved alone, so that times are those of one.
    private func solve(
        _ gradients: [ParameterVector], by estimator: EstimatorKind, _ matrix: GaussNewtonMatrix,
        _ control: SolveControl
    ) throws -> ([ParameterVector], EstimatorReport.Estimator) {
        let start = Date()
        let inverse = try inverse(estimator, matrix, control)
        let ready = Date()
        let solved = try gradients.map { try inverse.solve([$0], control: control) }
        let count = Double(max(gradients.count, 1))
        func mean(_ value: (SolveCost) -> Double?) -> Double? {
            guard estimator.iterates else { return nil }
            return solved.compactMap { value($0.cost) }.reduce(0, +) / count
        }
        return (
            solved.map { $0.vectors[0] },
            EstimatorReport.Estimator(
                name: estimator, setupSeconds: ready.timeIntervalSince(start),
                secondsPerQuery: Date().timeIntervalSince(ready) / count, bytes: bytes(of: estimator),
                iterations: mean { Double($0.iterations) }, sequences: mean { Double($0.sequences) },
                residual: mean(\.residual))
        )
    }

    // MARK: Scores

    /// For each query, each estimator's scores of its candidates.
    private func scores(
        of asked: [Asked], _ solved: [EstimatorKind: [ParameterVector]],
        progress: @escaping @Sendable (Progress) -> Void, step: @escaping @Sendable () throws -> Void
    ) throws -> [[[Double]]] {
        let union = Set(asked.flatMap(\.candidates)).sorted()
        let places = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        let swept = settings.estimators.filter { $0 != .tfidf && $0 != .cosine }
        // The gradient itself is what both the inner product and the cosine are of.
        let needsGradient = settings.estimators.contains(.cosine) && !swept.contains(.identity)
        let columns = swept + (needsGradient ? [.identity] : [])
        let norms = settings.estimators.contains(.cosine) ? try gradientNorms(union, step: step) : []
        let corpus = corpus
        let sweep = CandidateSweep(
            decoder: checkpoint.decoder, tracked: factors.tracked, workers: workers
        ) { try corpus.tokens(rowids: $0) }
        return try asked.enumerated().map { number, own in
            try step()
            progress(Progress(stage: "scores", done: number, total: asked.count))
            let queries = columns.map { estimator in
                let vector = solved[estimator]?[number] ?? own.gradient
                return PreconditionedQuery(layers: vector.layers.map { .full($0) })
            }
            let table = try sweep.scores(of: own.candidates, queries: queries)
            let lengths = own.candidates.map { rowid in places[rowid].map { norms.isEmpty ? 1 : norms[$0] } ?? 1 }
            return settings.estimators.map { estimator in
                if estimator == .tfidf { return own.matches }
                let column = columns.firstIndex(of: estimator == .cosine ? .identity : estimator) ?? 0
                let found = table.map { $0[column].total }
                guard estimator == .cosine else { return found }
                let length = own.gradient.norm
                return zip(found, lengths).map { $1 > 0 && length > 0 ? $0 / ($1 * length) : 0 }
            }
        }
    }

    private func gradientNorms(_ rowids: [Int64], step: @escaping @Sendable () throws -> Void) throws -> [Double] {
        let chunks = stride(from: 0, to: rowids.count, by: 8).map { $0..<min($0 + 8, rowids.count) }
        let slots = (0..<workers.count).map { _ in WorkerSlot((workspace: DecoderWorkspace(), tap: GradientNormTap())) }
        let norms = try workers.map(0..<chunks.count) { worker, index in
            try step()
            var batch = TokenBatch()
            for tokens in try corpus.tokens(rowids: Array(rowids[chunks[index]])) { batch.append(tokens) }
            return slots[worker].withState { state in
                checkpoint.decoder.run(batch, in: &state.workspace, tracked: factors.tracked, tap: &state.tap)
                return state.tap.norms
            }
        }
        return norms.flatMap { $0 }
    }
}
