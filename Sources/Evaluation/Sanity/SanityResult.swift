/// What the sanity checks found.
public struct SanityResult: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: SanityChecks.Settings
    public var queries: [EvaluationQuery]
    public var seconds: Double
    public var randomisation: Agreement
    public var cardinality: Cardinality
    public var stability: [DampedAgreement]

    /// How alike another ranking of all sequences is to the usual one.
    public struct Agreement: Sendable, Codable, Equatable {
        /// Spearman's correlation over all sequences, of each query; nil where scores do not vary.
        public var spearmanPerQuery: [Double?]
        /// How many of the usual top sequences are at the other's top, as a share; of each query.
        public var overlapPerQuery: [Double]
        /// Means over queries, their intervals over queries drawn anew.
        public var spearman: Estimate?
        public var overlap: Estimate?

        init(spearman: [Double?], overlap: [Double], seed: UInt64) {
            spearmanPerQuery = spearman
            overlapPerQuery = overlap
            let bootstrap = Bootstrap(seed: seed)
            self.spearman = bootstrap.mean(of: spearman.compactMap { $0 })
            self.overlap = bootstrap.mean(of: overlap)
        }

        enum CodingKeys: String, CodingKey {
            case spearmanPerQuery = "spearman_per_query"
            case overlapPerQuery = "overlap_per_query"
            case spearman, overlap
        }
    }

    public struct DampedAgreement: Sendable, Codable, Equatable {
        /// In units of the mean eigenvalue of each layer.
        public var damping: Double
        public var agreement: Agreement

        init(damping: Double, spearman: [Double?], overlap: [Double], seed: UInt64) {
            self.damping = damping
            agreement = Agreement(spearman: spearman, overlap: overlap, seed: seed)
        }
    }

    /// How many sequences share the tops of all queries.
    public struct Cardinality: Sendable, Codable, Equatable {
        public var distinct: Int
        /// How many there would be if no query shared one with another.
        public var most: Int
        /// How much of one query's top is in another's, the mean over pairs; nil of one query.
        public var meanOverlap: Double?
        /// Those at the top of more than one query, the most frequent first.
        public var recurring: [Recurrence]

        enum CodingKeys: String, CodingKey {
            case distinct, most
            case meanOverlap = "mean_overlap"
            case recurring
        }
    }

    public struct Recurrence: Sendable, Codable, Equatable {
        public var sequence: String
        /// At the top of how many.
        public var queries: Int
    }
}

extension SanityResult {
    /// Above this, scores of random weights rank too much like the model's own to be of what it has learned.
    static let mostRandomCorrelation = 0.3
    /// Below these, a ranking depends on the damping.
    static let leastStableCorrelation = 0.8
    static let leastStableOverlap = 0.5

    public var report: EvaluationReport {
        EvaluationReport(
            title: "Sanity of scores",
            question: "Do scores depend on what the model has learned and on the query, and not on the damping?",
            findings: findings,
            sections: [
                .init("Trained weights and random weights", randomisationElements),
                .init("The top of all queries together", cardinalityElements),
                .init("Over two orders of magnitude of damping", stabilityElements),
            ],
            provenance: subject.facts + [
                .init("Seed", "\(settings.seed)"), .init("This run took", Figure.duration(seconds)),
            ])
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
                "Of the top \(settings.top), \(Figure.percent(own.value)) are at the top by random weights as well; by chance it were "
                    + "\(Figure.percent(chance))."
                    + (own.value > Self.mostRandomCorrelation
                        ? " Warning: that much of the top is there for its words alone, whatever the model has learned."
                        : ""))
        }
        findings.append(
            "\(cardinality.distinct) distinct sequences are in the top \(settings.top) of \(queries.count) queries, of "
                + "\(cardinality.most) if none were shared.")
        let poor = stability.filter { own in
            (own.agreement.spearman.map { $0.value < Self.leastStableCorrelation } ?? false)
                || (own.agreement.overlap.map { $0.value < Self.leastStableOverlap } ?? false)
        }
        findings.append(
            poor.isEmpty
                ? "Passed: rankings stay over all dampings tried."
                : "Warning: at a damping of \(poor.map { Figure.number($0.damping, 2) }.joined(separator: ", ")) times the mean "
                    + "eigenvalue the ranking is another than at the usual 0.1. Trust what is at the top with all of them."
        )
        return findings
    }

    private var randomisationElements: [EvaluationReport.Element] {
        [
            .paragraph(
                "Each sequence scored by the model, and by one of the same shape with random weights and factors of its own. "
                    + "Without anything learned there is nothing to attribute: the two rankings should have nothing in common."
            ),
            .table(
                ReportTable(
                    columns: ["query", "Spearman", "same in top \(settings.top)"],
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
                    ])),
        ]
    }

    private var cardinalityElements: [EvaluationReport.Element] {
        [
            .paragraph(
                "Of one query's top \(settings.top), \(Figure.percent(cardinality.meanOverlap)) are in another's top as well, the "
                    + "mean over pairs."),
            .table(
                ReportTable(
                    columns: ["sequences in several tops", "queries"],
                    rows: cardinality.recurring.map { [$0.sequence, "\($0.queries)"] })),
        ]
    }

    private var stabilityElements: [EvaluationReport.Element] {
        [
            .table(
                ReportTable(
                    columns: [
                        "times the mean eigenvalue", "Spearman with the usual", "share of its top \(settings.top)",
                    ],
                    rows: stability.map {
                        [
                            Figure.number($0.damping, 2), Figure.estimate($0.agreement.spearman),
                            Figure.estimate($0.agreement.overlap, 2),
                        ]
                    })),
            .plot(
                Plot(
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
                        y: Plot.Axis("agreement")))),
        ]
    }
}
