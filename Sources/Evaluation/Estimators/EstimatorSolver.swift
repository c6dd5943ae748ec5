import Attribution
import Corpus
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// The one way in which evaluations score training sequences for a query by an estimator.
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

    /// The memory that an estimator holds, apart from the model and one query's gradient.
    func bytes(of estimator: EstimatorKind) -> Int {
        let vector = bytes(of: 1)
        return switch estimator {
        // K-FAC has its own eigenvalues in place of the corrected ones.
        case .ekfac, .kfac: subject.factors.byteCount
        case .diagonal: vector
        case .identity, .cosine, .tfidf: 0
        // One sum per worker, and the iteration's own vectors.
        case .lissa, .conjugateGradients: (subject.workers.count + 4) * vector
        case .astra: subject.factors.byteCount + (subject.workers.count + 6) * vector
        }
    }

    /// The seconds that each estimator that iterates would take for one query, estimated from a few products with the curvature.
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

    /// The seconds that inner products with all sequences' gradients would take, estimated from a few sequences.
    func expectedSweepSeconds(
        with vectors: [ParameterVector], step: @escaping @Sendable () throws -> Void
    ) throws -> Double {
        let sample = subject.spread(8 * subject.workers.count)
        // The first sweep allocates memory that the second uses again.
        _ = try products(of: vectors, with: Array(sample.prefix(subject.workers.count)), step: step)
        let start = Date()
        _ = try products(of: vectors, with: sample, step: step)
        return Date().timeIntervalSince(start) * Double(subject.rowids.count) / Double(sample.count)
    }

    /// The memory of this many vectors of the tracked parameters.
    func bytes(of vectors: Int) -> Int {
        vectors * subject.tracked.layers.reduce(0) { $0 + $1.parameters * MemoryLayout<Float>.stride }
    }

    /// An estimator's form of `(G + λI)⁻¹`, set up.
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

    /// Each query's gradient multiplied by an estimator's inverse, and the cost.
    ///
    /// - Parameter together: Whether all are solved at once, which shares forward passes. Otherwise each is solved alone, so that
    ///   the times are those of one query.
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
    /// - Parameter decoder: A model with the same tokens and layers whose gradients are used in place of the subject's.
    /// - Returns: For each vector, one product per sequence.
    /// - Throws: ``EvaluationError/notFinite(sequence:)``.
    func products(
        of vectors: [ParameterVector], with sequences: [Int], under decoder: DecoderModel? = nil,
        step: @escaping @Sendable () throws -> Void = {},
        progress: @escaping @Sendable (_ done: Int) -> Void = { _ in }
    ) throws -> [[Double]] {
        let corpus = subject.corpus
        let sweep = CandidateSweep(
            decoder: decoder ?? subject.decoder, tracked: subject.tracked, workers: subject.workers
        ) { rowids in
            try step()
            return try corpus.trainingSequences(rowids: rowids)
        }
        let scores = try sweep.scores(
            of: sequences.map { subject.rowids[$0] },
            queries: vectors.map { PreconditionedQuery(layers: $0.layers.map { .full($0) }) },
            control: WorkControl(progress: { progress($0.done) }))
        if let overflow = scores.firstIndex(where: { !$0.allSatisfy(\.isFinite) }) {
            throw EvaluationError.notFinite(sequence: try subject.identifiers([sequences[overflow]])[0])
        }
        return vectors.indices.map { query in scores.map { $0[query].total } }
    }

    /// Every query's scores of some sequences by one estimator, in nats except for cosines and TF-IDF.
    ///
    /// - Returns: For each query, one score per sequence; and the estimator's cost, without the inner products.
    func scores(
        of measurements: [Measurement], by estimator: EstimatorKind, over sequences: [Int], together: Bool = false,
        _ control: WorkControl<WorkProgress>
    ) throws -> (scores: [[Double]], cost: EstimatorCost) {
        if estimator == .tfidf {
            let start = Date()
            let scores = try measurements.map { try matches(of: $0, with: sequences) }
            let seconds = Date().timeIntervalSince(start) / Double(max(measurements.count, 1))
            return (scores, EstimatorCost(name: .tfidf, setupSeconds: 0, secondsPerQuery: seconds, bytes: 0))
        }
        let gradients = measurements.map { $0.gradient(of: subject.decoder, tracked: subject.tracked) }
        let (vectors, cost) = try solve(gradients, by: estimator, together: together, control)
        let products = try products(of: vectors, with: sequences, step: control.step)
        guard estimator == .cosine else { return (products, cost) }
        let norms = try gradientNorms(of: sequences, step: control.step)
        let cosines = zip(gradients, products).map { gradient, products in
            let length = gradient.norm
            return zip(products, norms).map { $1 > 0 && length > 0 ? $0 / ($1 * length) : 0 }
        }
        return (cosines, cost)
    }

    /// The sequences' TF-IDF scores, equation 28 of Grosse et al. 2023: zero without lexical overlap.
    func matches(of measurement: Measurement, with sequences: [Int]) throws -> [Double] {
        let found = try subject.corpus.termIndex.search(
            queryTokens: measurement.tokens, limit: subject.rowids.count)
        let matches = Dictionary(found.map { ($0.rowid, $0.score) }) { first, _ in first }
        return sequences.map { matches[subject.rowids[$0]] ?? 0 }
    }

    /// All sequences with lexical overlap, the highest TF-IDF score first.
    func ranking(byMatchWith measurement: Measurement) throws -> [Int] {
        let matches = try matches(of: measurement, with: Array(subject.sequences))
        return subject.sequences.filter { matches[$0] > 0 }.sorted { (matches[$0], $1) > (matches[$1], $0) }
    }

    func gradientNorms(of sequences: [Int], step: @escaping @Sendable () throws -> Void) throws -> [Double] {
        let chunks = stride(from: 0, to: sequences.count, by: 8).map { $0..<min($0 + 8, sequences.count) }
        let slots = (0..<subject.workers.count).map { _ in
            WorkerSlot((workspace: DecoderWorkspace(), tap: GradientNormTap()))
        }
        let norms = try subject.workers.map(0..<chunks.count) { worker, index in
            try step()
            var batch = TokenBatch()
            for own in try subject.sequences(Array(sequences[chunks[index]])) { batch.append(own) }
            return slots[worker].withState { state in
                subject.decoder.run(batch, in: &state.workspace, tracked: subject.tracked, tap: &state.tap)
                return state.tap.norms
            }
        }
        return norms.flatMap { $0 }
    }
}

/// Computes the norm of each sequence's gradient over all tracked layers, by which a cosine divides.
struct GradientNormTap: GradientTap, Sendable {
    /// One norm per sequence of the last micro-batch.
    private(set) var norms: [Double] = []
    private var squares: [Double] = []
    private var gradient = Matrix()

    mutating func record(_ pass: LayerPass) {
        if squares.isEmpty { squares = [Double](repeating: 0, count: pass.batch.sequences.count) }
        for (index, rows) in pass.sequences.enumerated() where !rows.isEmpty {
            gradient.formProduct(pass.outputGradients[rows: rows].transposed, pass.inputs[rows: rows])  // out × in
            squares[index] += gradient.squaredNorm
        }
    }

    mutating func finish(_ batch: TokenBatch) {
        norms = squares.map { $0.squareRoot() }
        squares = []
    }
}
