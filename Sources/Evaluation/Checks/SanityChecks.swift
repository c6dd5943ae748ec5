import Curvature
import Foundation
import Transformer

/// Checks that any score of training sequences should pass, here of EK-FAC's scores for some queries:
///
/// - do they depend on what the model has learned? Scores by the same model with random weights must rank differently
///   (Adebayo et al. 2018, "Sanity checks for saliency maps", with scores in place of maps);
/// - do they depend on the query? The sequences at the top must not be the same for all (Barshan et al. 2020, "RelatIF");
/// - do they depend on the damping, whose right value no one knows? Rankings must hold over two orders of magnitude of it.
public struct SanityChecks: EvaluationStudy {
    public static let name = "sanity"

    public struct Settings: Sendable, Codable, Equatable {
        /// How many of a query's top sequences are examined.
        public var top = 10
        /// Damping in units of the mean eigenvalue of each layer; the usual is 0.1.
        public var dampings = [0.01, 0.03, 0.1, 0.3, 1]
        /// How many sequences, evenly spread, the factors of the random model are fitted on.
        public var fitSequences = 512
        /// The seed of the random weights.
        public var seed: UInt64 = 0

        public init() {}
    }

    /// The damping of scores by default, in units of the mean eigenvalue.
    static let usualDamping = 0.1

    let subject: EvaluationSubject
    let queries: [EvaluationQuery]
    let settings: Settings

    public init(_ subject: EvaluationSubject, _ queries: [EvaluationQuery], settings: Settings = Settings()) {
        self.subject = subject
        self.queries = queries
        self.settings = settings
    }

    /// Scores every sequence of the corpus for every query.
    public func run(_ control: EvaluationControl) throws -> SanityResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let dampings =
            settings.dampings.contains(Self.usualDamping)
            ? settings.dampings : (settings.dampings + [Self.usualDamping]).sorted()
        let gradients = measurements.map { $0.gradient(of: subject.decoder, tracked: subject.tracked) }
        let inverses = dampings.map {
            KroneckerInverse(corrected: subject.factors, dampingScale: $0 / Self.usualDamping)
        }
        let vectors = try inverses.flatMap { try $0.solve(gradients).vectors }
        try check(vectors, gradients, control)
        let table = try scores(vectors, of: subject.decoder, "scores", control)
        let byDamping = Dictionary(
            uniqueKeysWithValues: dampings.indices.map { index in
                (dampings[index], Array(table[(index * queries.count)..<((index + 1) * queries.count)]))
            })
        let usual = byDamping[Self.usualDamping] ?? []
        let random = try randomScores(measurements, control)
        let tops = usual.map { TopSequences(of: $0, count: settings.top) }
        func agreement(_ other: [[Double]]) -> SanityResult.Agreement {
            .init(
                spearman: QueryCorrelations(of: usual, with: other).each(by: Correlation.spearman),
                overlap: zip(tops, other).map { $0.share(in: TopSequences(of: $1, count: settings.top)) },
                seed: settings.seed)
        }
        return SanityResult(
            subject: EvaluatedSubject(subject), settings: settings, queries: queries,
            seconds: Date().timeIntervalSince(start),
            randomisation: agreement(random), cardinality: try cardinality(tops),
            stability: dampings.map { .init(damping: $0, agreement: agreement(byDamping[$0] ?? [])) })
    }

    /// Refuses a run that would take longer than the limit, estimated from a few sequences.
    private func check(_ vectors: [ParameterVector], _ gradients: [ParameterVector], _ control: EvaluationControl)
        throws
    {
        guard control.limit != nil else { return }
        let solver = EstimatorSolver(subject, EstimatorSettings())
        let scoring = try solver.expectedSweepSeconds(with: vectors, step: control.step)
        let random = try solver.expectedSweepSeconds(with: gradients, step: control.step)
        // A fit makes two passes over its sequences, and does more with each sequence than a sweep.
        let fitting =
            4 * random * Double(min(settings.fitSequences, subject.rowids.count)) / Double(subject.rowids.count)
        try control.check(
            seconds: scoring + random + fitting, bytes: solver.bytes(of: vectors.count),
            of: "scoring \(subject.rowids.count) sequences \(vectors.count + gradients.count) times")
    }

    private func scores(
        _ vectors: [ParameterVector], of decoder: DecoderModel, _ stage: String, _ control: EvaluationControl
    ) throws -> [[Double]] {
        let total = subject.rowids.count
        return try EstimatorSolver(subject, EstimatorSettings()).products(
            of: vectors, with: Array(subject.sequences), under: decoder, step: control.step
        ) { control.report(stage, $0, of: total) }
    }

    /// Scores by an untrained model of the same shape, with factors of its own.
    private func randomScores(_ measurements: [Measurement], _ control: EvaluationControl) throws -> [[Double]] {
        let decoder = try DecoderModel(initializing: subject.decoder.description, seed: settings.seed)
        let fit = FactorFit(
            decoder: decoder, modelDigest: "random weights", source: subject.source,
            selection: subject.tracked.selection, maximumSequences: settings.fitSequences, seed: settings.seed,
            workers: subject.workers)
        let factors = try fit.run(
            progress: { control.report("fit of the random model", $0.done, of: $0.total) },
            isCancelled: control.isCancelled)
        let gradients = measurements.map { $0.gradient(of: decoder, tracked: factors.tracked) }
        let solved = try KroneckerInverse(corrected: factors).solve(gradients)
        return try scores(solved.vectors, of: decoder, "scores of the random model", control)
    }

    private func cardinality(_ tops: [TopSequences]) throws -> SanityResult.Cardinality {
        var counts: [Int: Int] = [:]
        for index in tops.flatMap(\.indices) { counts[index, default: 0] += 1 }
        var overlaps: [Double] = []
        for (index, own) in tops.enumerated() {
            overlaps += tops.dropFirst(index + 1).map { own.share(in: $0) }
        }
        let recurring = counts.filter { $0.value > 1 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(20)
        let names = try subject.identifiers(recurring.map(\.key))
        return .init(
            distinct: counts.count, most: tops.reduce(0) { $0 + $1.indices.count },
            meanOverlap: overlaps.isEmpty ? nil : overlaps.reduce(0, +) / Double(overlaps.count),
            recurring: zip(names, recurring).map { .init(sequence: $0, queries: $1.value) })
    }
}
