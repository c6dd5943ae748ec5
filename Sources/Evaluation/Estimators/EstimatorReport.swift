/// How alike the estimators rank, and what each takes.
public struct EstimatorReport: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: EstimatorSettings
    public var queries: [Query]
    public var estimators: [EstimatorCost]
    /// Pearson's correlation of the scores of a query's candidates, the mean over queries, with its interval over queries and
    /// candidates drawn anew: a row and a column an estimator, in their order. Null where an estimator's scores do not vary.
    public var pearson: [[Estimate?]]
    /// The same of ranks (Spearman).
    public var spearman: [[Estimate?]]
    /// Of this run: what was taken up from earlier ones is not counted.
    public var seconds: Double

    public struct Query: Sendable, Codable, Equatable {
        public var prompt: String
        public var completion: String
        public var candidates: Int
    }

    /// - Parameter scores: Each estimator's: a row a query, a column a candidate.
    init(
        subject: EvaluatedSubject, settings: EstimatorSettings, queries: [Query], estimators: [EstimatorCost],
        scores: [[[Double]]], seconds: Double
    ) {
        self.subject = subject
        self.settings = settings
        self.queries = queries
        self.estimators = estimators
        self.seconds = seconds
        pearson = Self.correlations(scores, by: Correlation.pearson, seed: settings.seed)
        spearman = Self.correlations(scores, by: Correlation.spearman, seed: settings.seed)
    }

    private static func correlations(
        _ scores: [[[Double]]], by correlation: ([Double], [Double]) -> Double?, seed: UInt64
    ) -> [[Estimate?]] {
        var table = scores.map { _ in [Estimate?](repeating: nil, count: scores.count) }
        for left in scores.indices {
            for right in left..<scores.count {
                let found = QueryCorrelations(of: scores[left], with: scores[right]).mean(
                    by: correlation, Bootstrap(draws: 400, seed: seed))
                table[left][right] = found
                table[right][left] = found
            }
        }
        return table
    }
}

extension EstimatorReport {
    /// The comparison as people read it.
    public var report: EvaluationReport {
        EvaluationReport(
            title: "Estimators of influence",
            question: "How alike do estimators rank the same sequences, and what do they take?",
            sections: [
                .init("What each takes", [.table(costs)]),
                .init("Pearson's correlation of scores, mean over queries", [.table(table(pearson))]),
                .init("Spearman's correlation of ranks, mean over queries", [.table(table(spearman))]),
                .init("Agreement with EK-FAC", agreement),
            ],
            provenance: subject.facts + [
                .init("Queries", "\(queries.count), of \(queries.map(\.candidates).max() ?? 0) candidates each"),
                .init("Seed", "\(settings.seed)"), .init("This run took", Figure.duration(seconds)),
            ])
    }

    private var costs: ReportTable {
        ReportTable(
            columns: ["", "setup s", "s a query", "MB", "iterations", "sequences", "residual"],
            rows: estimators.map {
                [
                    $0.name.rawValue, Figure.number($0.setupSeconds, 2), Figure.number($0.secondsPerQuery),
                    Figure.number(Double($0.bytes) / 1e6, 1), Figure.number($0.iterations, 0),
                    Figure.number($0.sequences, 0), Figure.number($0.residual),
                ]
            })
    }

    private func table(_ values: [[Estimate?]]) -> ReportTable {
        let names = estimators.map { $0.name == .conjugateGradients ? "cg" : $0.name.rawValue }
        return ReportTable(
            columns: [""] + names, rows: zip(names, values).map { [$0] + $1.map { Figure.number($0?.value) } })
    }

    /// The row of EK-FAC, with intervals.
    private var agreement: [EvaluationReport.Element] {
        guard let ekfac = estimators.firstIndex(where: { $0.name == .ekfac }) else { return [] }
        let others = estimators.indices.filter { $0 != ekfac }
        return [
            .table(
                ReportTable(
                    columns: ["", "Pearson", "Spearman"],
                    rows: others.map {
                        [
                            estimators[$0].name.rawValue, Figure.estimate(pearson[ekfac][$0]),
                            Figure.estimate(spearman[ekfac][$0]),
                        ]
                    })),
            .plot(
                Plot(
                    "Spearman's correlation with EK-FAC, mean over queries, with its 95 % interval",
                    .bars(
                        others.compactMap { other in
                            spearman[ekfac][other].map { Plot.Bar(estimators[other].name.rawValue, $0) }
                        }, label: "Spearman's correlation"))),
        ]
    }
}
