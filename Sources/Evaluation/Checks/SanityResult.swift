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
