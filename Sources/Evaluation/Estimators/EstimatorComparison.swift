import Curvature
import LinearAlgebra
import Transformer

/// Ranks candidates for some queries by every estimator, and compares the rankings (``EstimatorReport``).
///
///     query gradients -> each estimator's inverse product -> one sweep over all candidates -> correlations
public struct EstimatorComparison: Sendable {
    let subject: EvaluationSubject
    let settings: EstimatorSettings
    /// Seconds that an estimator may take for all queries; nil for as long as it takes.
    let limit: Double?

    public init(
        _ subject: EvaluationSubject, settings: EstimatorSettings = EstimatorSettings(), limit: Double? = 1_800
    ) {
        self.subject = subject
        self.settings = settings
        self.limit = limit
    }

    /// A query on its way.
    private struct Asked {
        let measurement: Measurement
        let gradient: ParameterVector
        /// Places, in ascending order.
        let candidates: [Int]
        /// TF-IDF's score of each candidate.
        let matches: [Double]
    }

    /// - Throws: ``EvaluationError``, `SolveError`, or what reading the corpus threw.
    public func run(
        _ queries: [EvaluationQuery], control: EvaluationControl = EvaluationControl()
    ) throws -> EstimatorReport {
        let solver = EstimatorSolver(subject, settings)
        let step = control.step
        if let limit {
            for (estimator, seconds) in try solver.expectedSeconds(of: settings.estimators, step: step) {
                try EvaluationError.check(
                    seconds: seconds * Double(queries.count), bytes: solver.bytes(of: estimator), limit: limit,
                    of: estimator.rawValue)
            }
        }
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let asked = try measurements.enumerated().map { try ask($1, number: $0, solver) }
        var solved: [EstimatorKind: [ParameterVector]] = [:]
        var costs: [EstimatorCost] = []
        for estimator in settings.estimators {
            let (vectors, cost) = try solver.solve(
                asked.map(\.gradient), by: estimator, control.solving(estimator.rawValue))
            solved[estimator] = vectors
            costs.append(cost)
        }
        let scores = try scores(of: asked, solved, solver, control)
        return EstimatorReport(
            model: subject.name, modelDigest: subject.checkpoint.digest, corpusDigest: subject.corpusDigest,
            corpusSequences: subject.rowids.count, settings: settings,
            queries: asked.map {
                .init(
                    prompt: $0.measurement.query.prompt, completion: $0.measurement.query.completion,
                    candidates: $0.candidates.count)
            },
            estimators: costs, pearson: EstimatorReport.correlations(scores, by: Correlation.pearson),
            spearman: EstimatorReport.correlations(scores, by: Correlation.spearman))
    }

    private func ask(_ measurement: Measurement, number: Int, _ solver: EstimatorSolver) throws -> Asked {
        let everyPlace = Array(subject.rowids.indices)
        let matches = try solver.matches(of: measurement, with: everyPlace)
        let matching = everyPlace.filter { matches[$0] > 0 }.sorted { (matches[$0], $1) > (matches[$1], $0) }
        var chosen = Set(matching.prefix(settings.candidates / 2))
        var generator = SplitMix64(seed: settings.seed &+ UInt64(number))
        for place in everyPlace.shuffled(using: &generator) where chosen.count < settings.candidates {
            chosen.insert(place)
        }
        let candidates = chosen.sorted()
        return Asked(
            measurement: measurement, gradient: measurement.gradient(of: subject.decoder, tracked: subject.tracked),
            candidates: candidates, matches: candidates.map { matches[$0] })
    }

    /// For each query, each estimator's scores of its candidates.
    private func scores(
        of asked: [Asked], _ solved: [EstimatorKind: [ParameterVector]], _ solver: EstimatorSolver,
        _ control: EvaluationControl
    ) throws -> [[[Double]]] {
        let union = Set(asked.flatMap(\.candidates)).sorted()
        let wantsCosine = settings.estimators.contains(.cosine)
        let norms =
            wantsCosine
            ? Dictionary(
                uniqueKeysWithValues: zip(union, try solver.gradientNorms(of: union, step: control.step))) : [:]
        // The gradient itself is what both the inner product and the cosine are of.
        let columns = settings.estimators.filter { $0 != .tfidf && $0 != .cosine && $0 != .identity } + [.identity]
        return try asked.enumerated().map { number, own in
            try control.step()
            control.report("scores", number, of: asked.count)
            let table = try solver.products(
                of: columns.map { solved[$0]?[number] ?? own.gradient }, with: own.candidates, step: control.step)
            let products = Dictionary(uniqueKeysWithValues: zip(columns, table))
            let length = own.gradient.norm
            return settings.estimators.map { estimator in
                switch estimator {
                case .tfidf: return own.matches
                case .cosine:
                    return zip(products[.identity] ?? [], own.candidates).map { product, place in
                        let norm = (norms[place] ?? 0) * length
                        return norm > 0 ? product / norm : 0
                    }
                default: return products[estimator] ?? []
                }
            }
        }
    }
}
