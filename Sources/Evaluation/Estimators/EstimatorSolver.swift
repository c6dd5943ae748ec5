import Attribution
import Corpus
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// The one way in which evaluations let an estimator score training sequences for a query.
///
///     gradient of f -> the estimator's inverse product -> inner products with the sequences' gradients
struct EstimatorSolver: Sendable {
    let subject: EvaluationSubject
    let settings: EstimatorSettings
    let curvature: GaussNewtonMatrix

    init(_ subject: EvaluationSubject, _ settings: EstimatorSettings) {
        self.subject = subject
        self.settings = settings
        curvature = subject.curvature
    }

    /// What an estimator holds in memory beside the model and one query's gradient.
    func bytes(of estimator: EstimatorKind) -> Int {
        let vector = bytes(of: 1)
        switch estimator {
        case .ekfac: return subject.factors.byteCount
        // Its own eigenvalues in place of the corrected ones.
        case .kfac: return subject.factors.byteCount
        case .diagonal: return vector
        case .identity, .cosine, .tfidf: return 0
        // A sum for each worker, and the iteration's own vectors.
        case .lissa: return (subject.workers.count + 4) * vector
        case .conjugateGradients: return (subject.workers.count + 4) * vector
        case .astra: return subject.factors.byteCount + (subject.workers.count + 6) * vector
        }
    }

    /// Seconds that an estimator would take for one query, going by a few products with the curvature; zero for those that do
    /// not iterate.
    ///
    /// - Parameter step: Called before each micro-batch.
    func expectedSeconds(
        of estimators: [EstimatorKind], step: @escaping @Sendable () throws -> Void
    ) throws -> [EstimatorKind: Double] {
        guard estimators.contains(where: \.iterates) else { return [:] }
        let sample = Array(0..<min(2 * subject.workers.count, curvature.count))
        let start = Date()
        _ = try curvature.products(
            of: [ParameterVector(normalOf: subject.tracked, seed: settings.seed)], over: sample,
            control: WorkControl(step: step))
        let seconds = Date().timeIntervalSince(start) / Double(sample.count)
        return Dictionary(
            uniqueKeysWithValues: estimators.filter(\.iterates).map { estimator in
                (estimator, seconds * Double(settings.products(of: estimator, corpusSequences: curvature.count)))
            })
    }

    /// Seconds that inner products with all sequences' gradients would take, going by a few sequences.
    func expectedSweepSeconds(
        with vectors: [ParameterVector], step: @escaping @Sendable () throws -> Void
    ) throws -> Double {
        let sample = subject.spread(8 * subject.workers.count)
        // The first sweep makes room that the other uses again.
        _ = try products(of: vectors, with: Array(sample.prefix(subject.workers.count)), step: step)
        let start = Date()
        _ = try products(of: vectors, with: sample, step: step)
        return Date().timeIntervalSince(start) * Double(subject.rowids.count) / Double(sample.count)
    }

    /// What so many vectors of the tracked parameters hold in memory.
    func bytes(of vectors: Int) -> Int {
        vectors * subject.tracked.layers.reduce(0) { $0 + $1.parameters * MemoryLayout<Float>.stride }
    }

    /// What multiplies by `(G + λI)⁻¹` as the estimator has it, set up.
    func inverse(_ estimator: EstimatorKind, _ control: WorkControl<WorkProgress>) throws -> any InverseCurvature {
        let factors = subject.factors
        let damping = factors.damping(settings.damping)
        let sample = subject.spread(settings.curvatureSequences)
        func neumann(_ iterations: Int) -> NeumannIteration.Options {
            .init(iterations: iterations, batchSize: settings.batchSize, seed: settings.seed)
        }
        switch estimator {
        case .ekfac: return KroneckerInverse(corrected: factors, damping: settings.damping)
        case .kfac: return try KroneckerInverse(uncorrected: factors, damping: settings.damping)
        case .diagonal:
            return try DiagonalInverse(
                of: curvature, over: sample, seed: settings.seed, damping: damping, control: control)
        case .identity, .cosine, .tfidf: return IdentityInverse()
        case .lissa: return NeumannIteration.lissa(curvature, damping: damping, neumann(settings.lissaIterations))
        case .astra:
            return NeumannIteration.astra(
                curvature, factors: factors, damping: settings.damping, neumann(settings.astraIterations))
        case .conjugateGradients:
            return ConjugateGradients(
                curvature, over: sample, damping: damping,
                preconditioner: KroneckerInverse(corrected: factors, damping: settings.damping),
                iterations: settings.conjugateGradientIterations, tolerance: settings.tolerance)
        }
    }

    /// Each query's gradient multiplied by an estimator's inverse, and what that took.
    ///
    /// - Parameter together: Whether all are solved at once, which shares forward passes, or each alone, so that times are those
    ///   of one.
    func solve(
        _ gradients: [ParameterVector], by estimator: EstimatorKind, together: Bool = false,
        _ control: WorkControl<WorkProgress>
    ) throws -> ([ParameterVector], EstimatorCost) {
        let start = Date()
        let inverse = try inverse(estimator, control)
        let ready = Date()
        let solved =
            together
            ? [try inverse.solve(gradients, control: control)]
            : try gradients.map { try inverse.solve([$0], control: control) }
        let count = Double(max(gradients.count, 1))
        func mean(_ value: (SolveCost) -> Double?) -> Double? {
            guard estimator.iterates else { return nil }
            return solved.compactMap { value($0.cost) }.reduce(0, +) / Double(max(solved.count, 1))
        }
        return (
            solved.flatMap(\.vectors),
            EstimatorCost(
                name: estimator, setupSeconds: ready.timeIntervalSince(start),
                secondsPerQuery: Date().timeIntervalSince(ready) / count, bytes: bytes(of: estimator),
                iterations: mean { Double($0.iterations) }, sequences: mean { Double($0.sequences) },
                residual: mean(\.residual))
        )
    }

    /// The inner products of vectors of the tracked parameters with the gradients of sequences, with full rank.
    ///
    /// - Parameter decoder: Whose gradients, in place of the subject's: a model of the same tokens and layers.
    /// - Returns: For each vector, one product a place.
    func products(
        of vectors: [ParameterVector], with places: [Int], under decoder: DecoderModel? = nil,
        step: @escaping @Sendable () throws -> Void = {},
        progress: @escaping @Sendable (_ done: Int) -> Void = { _ in }
    ) throws -> [[Double]] {
        let corpus = subject.corpus
        let sweep = CandidateSweep(
            decoder: decoder ?? subject.decoder, tracked: subject.tracked, workers: subject.workers
        ) { rowids in
            try step()
            return try corpus.tokens(rowids: rowids)
        }
        let scores = try sweep.scores(
            of: places.map { subject.rowids[$0] },
            queries: vectors.map { PreconditionedQuery(layers: $0.layers.map { .full($0) }) },
            control: WorkControl(progress: { progress($0.done) }))
        return vectors.indices.map { query in scores.map { $0[query].total } }
    }

    /// Every query's scores of some sequences by one estimator, in nats but for cosines and TF-IDF.
    ///
    /// - Returns: For each query, one score a place; and what the estimator took for it, without the inner products.
    func scores(
        of measurements: [Measurement], by estimator: EstimatorKind, over places: [Int], together: Bool = false,
        _ control: WorkControl<WorkProgress>
    ) throws -> (scores: [[Double]], cost: EstimatorCost) {
        if estimator == .tfidf {
            let start = Date()
            let scores = try measurements.map { try matches(of: $0, with: places) }
            let seconds = Date().timeIntervalSince(start) / Double(max(measurements.count, 1))
            return (scores, EstimatorCost(name: .tfidf, setupSeconds: 0, secondsPerQuery: seconds, bytes: 0))
        }
        let gradients = measurements.map { $0.gradient(of: subject.decoder, tracked: subject.tracked) }
        let (vectors, cost) = try solve(gradients, by: estimator, together: together, control)
        let products = try products(of: vectors, with: places, step: control.step)
        guard estimator == .cosine else { return (products, cost) }
        let norms = try gradientNorms(of: places, step: control.step)
        let cosines = zip(gradients, products).map { gradient, products in
            let length = gradient.norm
            return zip(products, norms).map { $1 > 0 && length > 0 ? $0 / ($1 * length) : 0 }
        }
        return (cosines, cost)
    }

    /// TF-IDF's score of sequences, equation 28 of Grosse et al. 2023, zero where no word is shared.
    func matches(of measurement: Measurement, with places: [Int]) throws -> [Double] {
        let found = try subject.corpus.termIndex.search(
            queryTokens: measurement.tokens, limit: subject.rowids.count)
        let matches = Dictionary(found.map { ($0.rowid, $0.score) }) { first, _ in first }
        return places.map { matches[subject.rowids[$0]] ?? 0 }
    }

    /// The norm of each sequence's gradient over all tracked layers.
    func gradientNorms(of places: [Int], step: @escaping @Sendable () throws -> Void) throws -> [Double] {
        let chunks = stride(from: 0, to: places.count, by: 8).map { $0..<min($0 + 8, places.count) }
        let slots = (0..<subject.workers.count).map { _ in
            WorkerSlot((workspace: DecoderWorkspace(), tap: GradientNormTap()))
        }
        let norms = try subject.workers.map(0..<chunks.count) { worker, index in
            try step()
            var batch = TokenBatch()
            for tokens in try subject.tokens(Array(places[chunks[index]])) { batch.append(tokens) }
            return slots[worker].withState { state in
                subject.decoder.run(batch, in: &state.workspace, tracked: subject.tracked, tap: &state.tap)
                return state.tap.norms
            }
        }
        return norms.flatMap { $0 }
    }
}
