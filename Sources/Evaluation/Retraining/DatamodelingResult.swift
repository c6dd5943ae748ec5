/// How well each estimator predicts what models trained on parts of the corpus say.
public struct DatamodelingResult: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: LinearDatamodeling.Settings
    public var queries: [EvaluationQuery]
    /// Of this run: trainings that were taken up from earlier ones are not counted.
    public var seconds: Double
    public var estimators: [Estimator]
    /// Log-probabilities in nats: a row a trained model, a column a query.
    public var actual: [[Double]]

    public struct Estimator: Sendable, Codable, Equatable {
        public var name: String
        /// The linear datamodeling score, its interval over queries and trained models drawn anew.
        public var score: Estimate?
        /// The same with an interval over trained models alone: of these very queries.
        public var ofTheseQueries: Estimate?
        /// Spearman's correlation of each query.
        public var perQuery: [Double?]
        /// By how much the score is above that of EK-FAC, drawn on the same queries and models.
        public var aboveEKFAC: Estimate?
        /// The sum of scores: a row a trained model, a column a query. Not kept: it follows from scores and seed.
        var predicted: [[Double]] = []

        enum CodingKeys: String, CodingKey {
            case name, score
            case ofTheseQueries = "of_these_queries"
            case perQuery = "per_query"
            case aboveEKFAC = "above_ekfac"
        }

        init(_ name: String, predicted: [[Double]], actual: [[Double]], seed: UInt64) {
            self.name = name
            self.predicted = predicted
            let queries = actual.first?.count ?? 0
            let all = Array(actual.indices)
            perQuery = (0..<queries).map { Self.correlation(predicted, actual, query: $0, over: all) }
            score = Bootstrap(draws: 1_000, seed: seed).estimate(over: queries, actual.count) {
                Self.score(predicted, actual, queries: $0, over: $1)
            }
            ofTheseQueries = Bootstrap(draws: 1_000, seed: seed).estimate(over: actual.count) {
                Self.score(predicted, actual, queries: Array(0..<queries), over: $0)
            }
        }

        static func score(_ predicted: [[Double]], _ actual: [[Double]], queries: [Int], over models: [Int]) -> Double?
        {
            var known: [Int: Double?] = [:]
            let found = queries.compactMap { query -> Double? in
                if let value = known[query] { return value }
                let value = correlation(predicted, actual, query: query, over: models)
                known[query] = value
                return value
            }
            return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
        }

        private static func correlation(
            _ predicted: [[Double]], _ actual: [[Double]], query: Int, over models: [Int]
        ) -> Double? {
            Correlation.spearman(models.map { predicted[$0][query] }, models.map { actual[$0][query] })
        }
    }

    enum CodingKeys: String, CodingKey {
        case subject, settings, queries, seconds, estimators, actual
    }

    init(
        subject: EvaluatedSubject, settings: LinearDatamodeling.Settings, queries: [EvaluationQuery], seconds: Double,
        estimators: [Estimator], actual: [[Double]]
    ) {
        self.subject = subject
        self.settings = settings
        self.queries = queries
        self.seconds = seconds
        self.estimators = estimators
        self.actual = actual
        guard let ekfac = estimators.first(where: { $0.name == EstimatorKind.ekfac.rawValue }) else { return }
        for index in estimators.indices where estimators[index].name != ekfac.name {
            let own = estimators[index].predicted
            self.estimators[index].aboveEKFAC = Bootstrap(draws: 1_000, seed: settings.seed).estimate(
                over: queries.count, actual.count
            ) { queries, models in
                guard let score = Estimator.score(own, actual, queries: queries, over: models),
                    let base = Estimator.score(ekfac.predicted, actual, queries: queries, over: models)
                else { return nil }
                return score - base
            }
        }
    }
}

extension DatamodelingResult {
    public var report: EvaluationReport {
        let ranked = estimators.sorted { ($0.score?.value ?? -1) > ($1.score?.value ?? -1) }
        return EvaluationReport(
            title: "Linear datamodeling score",
            question:
                "When the model is trained anew on part of its corpus, do the scores predict how likely each query's "
                + "completion then is?",
            findings: findings(ranked),
            sections: [
                .init(
                    "Spearman's correlation of predicted and real log-probability",
                    [
                        .paragraph(
                            "Over \(actual.count) models, each trained on \(Figure.percent(settings.share, 0)) of "
                                + "\(subject.sequences) sequences; the mean of \(queries.count) queries, with the "
                                + "interval that holds 95 % of the scores on queries and models drawn anew; and on these very queries, models "
                                + "alone drawn anew. Above EK-FAC: the difference on the same queries and models, both drawn anew."
                        ),
                        .table(
                            ReportTable(
                                columns: ["", "score", "of these queries", "above EK-FAC"],
                                rows: ranked.map {
                                    [
                                        $0.name, Figure.estimate($0.score), Figure.estimate($0.ofTheseQueries),
                                        Figure.estimate($0.aboveEKFAC),
                                    ]
                                })),
                        .plot(
                            Plot(
                                "Linear datamodeling score of each estimator, with its 95 % interval",
                                .bars(
                                    ranked.compactMap { own in own.score.map { Plot.Bar(own.name, $0) } },
                                    label: "Spearman's correlation, mean over queries"))),
                    ]),
                .init("One query, model by model", examples),
            ],
            provenance: subject.facts + [
                .init("Seed", "\(settings.seed)"), .init("This run took", Figure.duration(seconds)),
            ])
    }

    private func findings(_ ranked: [Estimator]) -> [String] {
        guard let ekfac = estimators.first(where: { $0.name == EstimatorKind.ekfac.rawValue }), let score = ekfac.score
        else { return [] }
        var findings = ["EK-FAC's score is \(Figure.estimate(score))."]
        func clear(_ above: (Estimate) -> Bool) -> [String] {
            ranked.filter { $0.aboveEKFAC.map(above) ?? false }.map(\.name)
        }
        let below = clear { $0.high < 0 }
        let above = clear { $0.low > 0 }
        if !below.isEmpty {
            findings.append("Below it on the same queries and models: \(below.joined(separator: ", ")).")
        }
        if !above.isEmpty { findings.append("Above it: \(above.joined(separator: ", ")).") }
        let apart = ranked.filter { own in own.score.map { !$0.overlaps(score) && $0.high < score.low } ?? false }
        if !apart.isEmpty {
            findings.append(
                "Their own intervals lie wholly below EK-FAC's: \(apart.map(\.name).joined(separator: ", ")).")
        }
        return findings
    }

    /// The query that EK-FAC predicts about as well as the mean.
    private var examples: [EvaluationReport.Element] {
        guard let ekfac = estimators.first(where: { $0.name == EstimatorKind.ekfac.rawValue }),
            let mean = ekfac.score?.value
        else { return [] }
        let nearest = ekfac.perQuery.enumerated().compactMap { index, value in value.map { (index, abs($0 - mean)) } }
            .min { $0.1 < $1.1 }
        guard let query = nearest?.0 else { return [] }
        return [
            .paragraph("“\(queries[query].prompt)” → “\(queries[query].completion)”"),
            .plot(
                Plot(
                    "A point a trained model: the sum of EK-FAC's scores of what it was trained on, and the completion's "
                        + "log-probability under it",
                    .scatter(
                        [Plot.Series("models", actual.indices.map { (ekfac.predicted[$0][query], actual[$0][query]) })],
                        x: Plot.Axis("sum of scores, nats"), y: Plot.Axis("log-probability, nats")))),
        ]
    }
}
