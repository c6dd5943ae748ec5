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

/// The result of the sanity checks.
public struct SanityResult: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: SanityChecks.Settings
    public var queries: [EvaluationQuery]
    public var seconds: Double
    public var randomisation: Agreement
    public var cardinality: Cardinality
    public var stability: [DampedAgreement]

    /// How similar another ranking of all sequences is to the usual one.
    public struct Agreement: Sendable, Codable, Equatable {
        /// Each query's Spearman correlation over all sequences; `nil` if scores do not vary.
        public var spearmanPerQuery: [Double?]
        /// For each query, the share of the usual top sequences that are also at the top of the other.
        public var overlapPerQuery: [Double]
        /// Means over queries, with their bootstrap intervals over queries.
        public var spearman: Estimate?
        public var overlap: Estimate?

        init(spearman: [Double?], overlap: [Double], seed: UInt64) {
            spearmanPerQuery = spearman
            overlapPerQuery = overlap
            let bootstrap = Bootstrap(seed: seed)
            self.spearman = bootstrap.mean(of: spearman.compactMap { $0 })
            self.overlap = bootstrap.mean(of: overlap)
        }
    }

    public struct DampedAgreement: Sendable, Codable, Equatable {
        /// In units of the mean eigenvalue of each layer.
        public var damping: Double
        public var agreement: Agreement
    }

    /// How many sequences share the tops of all queries.
    public struct Cardinality: Sendable, Codable, Equatable {
        public var distinct: Int
        /// How many there would be if no two queries shared a sequence.
        public var most: Int
        /// The share of one query's top that is in another's, the mean over pairs; `nil` for one query.
        public var meanOverlap: Double?
        /// The sequences at the top of more than one query, the most frequent first.
        public var recurring: [Recurrence]
    }

    public struct Recurrence: Sendable, Codable, Equatable {
        public var sequence: String
        /// How many queries have it at their top.
        public var queries: Int
    }
}

extension SanityResult {
    /// Above this, random weights rank too similarly for scores to depend on what the model has learned.
    static let mostRandomCorrelation = 0.3
    /// Below these values, a ranking depends on the damping.
    static let leastStableCorrelation = 0.8
    static let leastStableOverlap = 0.5

    public var report: EvaluationReport {
        EvaluationReport(
            title: "Sanity of scores",
            question: "Do scores depend on what the model has learned and on the query, and not on the damping?",
            findings: findings,
            sections: [
                ("Trained weights and random weights", randomisationElements),
                ("The top of all queries together", cardinalityElements),
                ("Over two orders of magnitude of damping", stabilityElements),
            ],
            provenance: subject.provenance(seed: settings.seed, seconds: seconds))
    }

    private var findings: [String] {
        var findings: [String] = []
        if let own = randomisation.spearman {
            let passed = abs(own.value) < Self.mostRandomCorrelation
            findings.append(
                (passed ? "Passed: " : "Warning: ")
                    + "ranks by the model and by random weights correlate \(Figure.estimate(own))"
                    + (passed ? "." : ": part of the ranking does not depend on what the model has learned."))
        }
        if let own = randomisation.overlap {
            let chance = Double(settings.top) / Double(max(subject.sequences, 1))
            findings.append(
                "Of the top \(settings.top), \(Figure.percent(own.value)) are also at the top by random weights; by chance it would be "
                    + "\(Figure.percent(chance))."
                    + (own.value > Self.mostRandomCorrelation
                        ? " Warning: that share of the top is there for its words only, whatever the model has learned."
                        : ""))
        }
        findings.append(
            "The top \(settings.top) of \(queries.count) queries have \(cardinality.distinct) distinct sequences; without shared ones "
                + "there would be \(cardinality.most).")
        let poor = stability.filter { own in
            (own.agreement.spearman.map { $0.value < Self.leastStableCorrelation } ?? false)
                || (own.agreement.overlap.map { $0.value < Self.leastStableOverlap } ?? false)
        }
        findings.append(
            poor.isEmpty
                ? "Passed: rankings hold over all dampings tried."
                : "Warning: at a damping of \(poor.map { Figure.number($0.damping, 2) }.joined(separator: ", ")) times the mean "
                    + "eigenvalue, the ranking differs from the ranking at the usual 0.1. Trust the sequences that are at the top at every damping."
        )
        return findings
    }

    private var randomisationElements: [EvaluationReport.Element] {
        [
            .paragraph(
                "Each sequence is scored by the model, and by a model of the same shape with random weights and factors of its own. "
                    + "A model that has learned nothing has nothing to attribute: the two rankings should have nothing in common."
            ),
            .table(
                columns: ["query", "Spearman", "shared in top \(settings.top)"],
                rows: queries.indices.map { query in
                    [
                        queries[query].label,
                        Figure.number(randomisation.spearmanPerQuery[query]),
                        Figure.percent(randomisation.overlapPerQuery[query], 0),
                    ]
                } + [
                    [
                        "mean", Figure.estimate(randomisation.spearman), Figure.estimate(randomisation.overlap, 2),
                    ]
                ]),
        ]
    }

    private var cardinalityElements: [EvaluationReport.Element] {
        [
            .paragraph(
                "Of one query's top \(settings.top), \(Figure.percent(cardinality.meanOverlap)) are also in another's top, in the "
                    + "mean over pairs."),
            .table(
                columns: ["sequences in several tops", "queries"],
                rows: cardinality.recurring.map { [$0.sequence, "\($0.queries)"] }),
        ]
    }

    private var stabilityElements: [EvaluationReport.Element] {
        [
            .table(
                columns: [
                    "times the mean eigenvalue", "Spearman with the usual",
                    "share of the usual top \(settings.top)",
                ],
                rows: stability.map {
                    [
                        Figure.number($0.damping, 2), Figure.estimate($0.agreement.spearman),
                        Figure.estimate($0.agreement.overlap, 2),
                    ]
                }),
            .plot(
                "Agreement with the ranking at the usual damping, mean over queries",
                .lines(
                    [
                        Plot.Series(
                            "Spearman",
                            stability.compactMap { own in own.agreement.spearman.map { (own.damping, $0.value) } }),
                        Plot.Series(
                            "share of the top \(settings.top)",
                            stability.compactMap { own in own.agreement.overlap.map { (own.damping, $0.value) } }),
                    ], x: Plot.Axis("damping, times the mean eigenvalue", isLogarithmic: true),
                    y: Plot.Axis("agreement"))),
        ]
    }
}
