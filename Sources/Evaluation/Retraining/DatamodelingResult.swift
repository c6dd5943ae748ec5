/// How well each estimator predicts the outputs of models that are trained on parts of the corpus.
public struct DatamodelingResult: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: LinearDatamodeling.Settings
    public var queries: [EvaluationQuery]
    /// The time of this run, without the trainings that an earlier run had finished.
    public var seconds: Double
    public var estimators: [Estimator]
    /// Log-probabilities in nats: one row per trained model, one column per query.
    public var actual: [[Double]]

    public struct Estimator: Sendable, Codable, Equatable {
        public var name: String
        /// The linear datamodeling score, with its bootstrap interval over queries and trained models.
        public var score: Estimate?
        /// The same score with an interval over trained models only, which holds for these very queries.
        public var ofTheseQueries: Estimate?
        /// Each query's Spearman correlation.
        public var perQuery: [Double?]
        /// How far the score is above that of EK-FAC, both drawn on the same queries and models.
        public var aboveEKFAC: Estimate?
        /// The sum of scores: one row per query, one column per trained model. Not kept: it follows from the scores and the seed.
        var predicted: [[Double]] = []

        enum CodingKeys: CodingKey { case name, score, ofTheseQueries, perQuery, aboveEKFAC }
    }
}

extension DatamodelingResult.Estimator {
    /// Compares predictions with log-probabilities, and with EK-FAC's predictions if EK-FAC is among the estimators.
    ///
    /// - Parameters:
    ///   - predictions: Each estimator's sums of scores, with one row per query and one column per trained model.
    ///   - measured: The log-probabilities, with the same rows and columns.
    static func compared(
        _ predictions: [(name: String, sums: [[Double]])], with measured: [[Double]], seed: UInt64
    ) -> [DatamodelingResult.Estimator] {
        let bootstrap = Bootstrap(draws: 1_000, seed: seed)
        let reference = EstimatorKind.ekfac.rawValue
        let ekfac = predictions.first { $0.name == reference }.map { QueryCorrelations(of: $0.sums, with: measured) }
        return predictions.map { name, sums in
            let agreement = QueryCorrelations(of: sums, with: measured)
            let base = name == reference ? nil : ekfac
            return DatamodelingResult.Estimator(
                name: name, score: agreement.mean(by: Correlation.spearman, bootstrap),
                ofTheseQueries: agreement.meanOfTheseQueries(by: Correlation.spearman, bootstrap),
                perQuery: agreement.each(by: Correlation.spearman),
                aboveEKFAC: base.flatMap { agreement.difference(from: $0, by: Correlation.spearman, bootstrap) },
                predicted: sums)
        }
    }
}

extension DatamodelingResult {
    public var report: EvaluationReport {
        let ranked = estimators.sorted { ($0.score?.value ?? -1) > ($1.score?.value ?? -1) }
        return EvaluationReport(
            title: "Linear datamodeling score",
            question:
                "When the model is trained again on part of its corpus, do the scores predict how likely each query's "
                + "completion then is?",
            findings: findings(ranked),
            sections: [
                (
                    "Spearman's correlation of predicted and actual log-probability",
                    [
                        .paragraph(
                            "Over \(actual.count) models, each trained on \(Figure.percent(settings.share, 0)) of "
                                + "\(subject.sequences) sequences; the mean of \(queries.count) queries, with the "
                                + "interval that holds 95 % of the scores on redrawn queries and models; and for these very queries, "
                                + "with only the models redrawn. Above EK-FAC: the difference, both drawn on the same queries and models."
                        ),
                        .table(
                            columns: ["", "score", "for these queries", "above EK-FAC"],
                            rows: ranked.map {
                                [
                                    $0.name, Figure.estimate($0.score), Figure.estimate($0.ofTheseQueries),
                                    Figure.estimate($0.aboveEKFAC),
                                ]
                            }),
                        .plot(
                            "Linear datamodeling score of each estimator, with its 95 % interval",
                            .bars(
                                ranked.compactMap { own in own.score.map { Plot.Bar(own.name, $0) } },
                                label: "Spearman's correlation, mean over queries")),
                    ]
                ),
                ("One query, model by model", examples),
            ],
            provenance: subject.provenance(seed: settings.seed, seconds: seconds))
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
                "Their own intervals lie entirely below EK-FAC's: \(apart.map(\.name).joined(separator: ", ")).")
        }
        return findings
    }

    /// The query that EK-FAC predicts about as well as the average query.
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
                "One point per trained model: the sum of EK-FAC's scores of the sequences that it was trained on, and the "
                    + "completion's log-probability under it",
                .scatter(
                    [Plot.Series("models", actual.indices.map { (ekfac.predicted[query][$0], actual[$0][query]) })],
                    x: Plot.Axis("sum of scores, nats"), y: Plot.Axis("log-probability, nats"))),
        ]
    }
}
