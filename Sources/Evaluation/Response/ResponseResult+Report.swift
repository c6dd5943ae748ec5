import Curvature

extension ResponseResult {
    /// Above this the minimum was not reached.
    static let mostResidual = 0.3

    public var report: EvaluationReport {
        let ranked = estimators.sorted { ($0.pearson?.value ?? -2) > ($1.pearson?.value ?? -2) }
        return EvaluationReport(
            title: "Scores and the proximal Bregman response",
            question:
                "When the model is trained with more weight on one sequence, and otherwise held to its own outputs, do "
                + "scores predict by how much each query's completion becomes likelier?",
            findings: findings(ranked),
            sections: [
                .init("Correlation of scores and responses", correlations(ranked)),
                .init("Sequence by sequence", scatters),
                .init("How well the responses were found", quality),
            ],
            provenance: subject.facts + [
                .init("Seed", "\(settings.seed)"), .init("This run took", Figure.duration(seconds)),
            ])
    }

    private func correlations(_ ranked: [Estimator]) -> [EvaluationReport.Element] {
        [
            .paragraph(
                "Over \(sequences.count) sequences, half of those that share words with the queries and half at random; the "
                    + "mean of \(queries.count) queries, with the interval that holds 95 % of it on queries and sequences drawn anew. "
                    + "Above EK-FAC: the difference, both drawn anew on the same."
            ),
            .table(
                ReportTable(
                    columns: ["", "Pearson", "above EK-FAC", "Spearman", "above EK-FAC", "s a query", "set-up s"],
                    rows: ranked.map {
                        [
                            $0.label, Figure.estimate($0.pearson), Figure.estimate($0.pearsonAboveEKFAC),
                            Figure.estimate($0.spearman), Figure.estimate($0.spearmanAboveEKFAC),
                            Figure.number($0.cost?.secondsPerQuery), Figure.number($0.cost?.setupSeconds),
                        ]
                    })),
            .plot(
                Plot(
                    "Pearson's correlation with the response, mean over queries, with its 95 % interval",
                    .bars(
                        ranked.compactMap { own in own.pearson.map { Plot.Bar(own.label, $0) } },
                        label: "Pearson's correlation"))),
            .plot(
                Plot(
                    "Spearman's correlation with the response, mean over queries, with its 95 % interval",
                    .bars(
                        ranked.compactMap { own in own.spearman.map { Plot.Bar(own.label, $0) } },
                        label: "Spearman's correlation"))),
        ]
    }

    /// EK-FAC's scores beside the response, and the plain inner product of gradients.
    private var scatters: [EvaluationReport.Element] {
        [EstimatorKind.ekfac, .identity].compactMap { kind in
            guard let own = estimators.first(where: { $0.name == kind }) else { return nil }
            let unit = kind == .ekfac ? ", nats" : ""
            return .plot(
                Plot(
                    kind == .ekfac
                        ? "A point a sequence and query: EK-FAC's score and the response"
                        : "The same of the inner product of gradients, which is in no unit of the response",
                    .scatter(
                        series(of: own),
                        x: Plot.Axis("score by \(kind.rawValue)\(unit)"), y: Plot.Axis("response, nats"))))
        }
    }

    /// One a query where there are few, and otherwise one of all.
    private func series(of estimator: Estimator) -> [Plot.Series] {
        let points = queries.indices.map { query in
            zip(estimator.scores[query], responses[query]).map { (x: $0, y: $1) }
        }
        guard queries.count <= 6 else { return [Plot.Series("all queries", points.flatMap { $0 })] }
        return zip(queries, points).map { Plot.Series($0.label, $1) }
    }

    private var quality: [EvaluationReport.Element] {
        let sorted = residuals.sorted()
        let weight = settings.copies / Double(max(subject.sequences, 1))
        // Two losses are subtracted, each a sum of Float32 values.
        let rounding = 1e-5 / abs(weight)
        let small = responses.joined().filter { abs($0) < rounding }.count
        return [
            .paragraph(
                "Each response: at most \(settings.iterations) steps of limited-memory BFGS, "
                    + "\(Figure.duration(secondsPerResponse)) on one core; the sequence weighted as "
                    + "\(Figure.number(settings.copies, 2)) more copies. What is left of the objective's gradient in relation to "
                    + "what it began with (0 where the minimum is reached): median "
                    + "\(Figure.number(sorted.isEmpty ? nil : sorted[sorted.count / 2])), largest "
                    + "\(Figure.number(sorted.last)). \(small) of \(responses.count * sequences.count) responses are smaller than "
                    + "rounding, \(Figure.number(rounding, 2)) nats, and carry no information.")
        ]
    }

    private func findings(_ ranked: [Estimator]) -> [String] {
        guard let ekfac = estimators.first(where: { $0.name == .ekfac }), let own = ekfac.pearson else { return [] }
        let sorted = residuals.sorted()
        let median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        var findings: [String] = []
        if median > Self.mostResidual {
            findings.append(
                "Warning: the responses are not the minimum's. \(Figure.number(median, 2)) of the gradient that they began with is left, "
                    + "in the median: give more --iterations before reading anything else here.")
        }
        findings.append("EK-FAC's scores correlate \(Figure.estimate(own)) (Pearson) with the responses.")
        if let difference = estimators.first(where: { $0.name == .identity })?.pearsonAboveEKFAC {
            let verdict = difference.high < 0 ? "less" : difference.low > 0 ? "more" : "not clearly less"
            findings.append(
                "Inner products of gradients correlate \(verdict) than EK-FAC's scores: the difference is "
                    + "\(Figure.estimate(difference)).")
        }
        if let best = ranked.first, best.name != .ekfac, let value = best.pearson {
            findings.append("The highest is that of \(best.label), \(Figure.estimate(value)).")
        }
        if let fast = ekfac.cost?.secondsPerQuery, fast > 0 {
            for lissa in estimators where lissa.name == .lissa {
                guard let slow = lissa.cost?.secondsPerQuery, let difference = lissa.pearsonAboveEKFAC
                else { continue }
                findings.append(
                    "\(lissa.label) takes \(Figure.number(slow / fast, 0)) times as long a query, and its correlation differs from EK-FAC's by "
                        + "\(Figure.estimate(difference)).")
            }
        }
        return findings
    }
}

extension ResponseResult.Estimator {
    /// LiSSA may be there in several lengths.
    var label: String {
        guard name == .lissa, let iterations = cost?.iterations else { return name.rawValue }
        return "lissa (\(Figure.number(iterations, 0)))"
    }
}
