/// How well each estimator's scores agree with the proximal Bregman response.
public struct ResponseResult: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: ResponseComparison.Settings
    public var queries: [EvaluationQuery]
    /// The time of this run, without the parts that an earlier run had finished.
    public var seconds: Double
    /// The identifiers of the sequences whose response was computed.
    public var sequences: [String]
    /// `(f(θ(ε)) - f(θ_base)) / ε`, in nats: one row per query, one column per sequence.
    public var responses: [[Double]]
    /// Each sequence's ``ProximalBregmanResponse/Response/residual``.
    public var residuals: [Double]
    /// On one thread.
    public var secondsPerResponse: Double
    public var estimators: [Estimator]

    public struct Estimator: Sendable, Codable, Equatable {
        public var name: EstimatorKind
        /// Correlations over the sequences: means over queries, with their bootstrap intervals over queries and sequences.
        public var pearson: Estimate?
        public var spearman: Estimate?
        /// How far the correlations are above those of EK-FAC, both drawn on the same queries and sequences.
        public var pearsonAboveEKFAC: Estimate?
        public var spearmanAboveEKFAC: Estimate?
        /// Each query's correlations.
        public var pearsonPerQuery: [Double?]
        public var spearmanPerQuery: [Double?]
        public var cost: EstimatorCost?
        /// One row per query, one column per sequence.
        public var scores: [[Double]]
    }
}

extension ResponseResult.Estimator {
    /// Compares estimators' scores with the responses, and with EK-FAC's scores if EK-FAC is among the estimators.
    ///
    /// - Parameter found: Each estimator's scores, with one row per query and one column per sequence, as in `responses`.
    static func compared(
        _ found: [(name: EstimatorKind, scores: [[Double]], cost: EstimatorCost?)], with responses: [[Double]],
        seed: UInt64
    ) -> [ResponseResult.Estimator] {
        let bootstrap = Bootstrap(draws: 1_000, seed: seed)
        let ekfac = found.first { $0.name == .ekfac }.map { QueryCorrelations(of: $0.scores, with: responses) }
        return found.map { own in
            let agreement = QueryCorrelations(of: own.scores, with: responses)
            let base = own.name == .ekfac ? nil : ekfac
            return ResponseResult.Estimator(
                name: own.name, pearson: agreement.mean(by: Correlation.pearson, bootstrap),
                spearman: agreement.mean(by: Correlation.spearman, bootstrap),
                pearsonAboveEKFAC: base.flatMap { agreement.difference(from: $0, by: Correlation.pearson, bootstrap) },
                spearmanAboveEKFAC: base.flatMap {
                    agreement.difference(from: $0, by: Correlation.spearman, bootstrap)
                }, pearsonPerQuery: agreement.each(by: Correlation.pearson),
                spearmanPerQuery: agreement.each(by: Correlation.spearman), cost: own.cost, scores: own.scores)
        }
    }
}

extension ResponseResult {
    /// Above this residual, the minimum was not reached.
    static let mostResidual = 0.3

    public var report: EvaluationReport {
        let ranked = estimators.sorted { ($0.pearson?.value ?? -2) > ($1.pearson?.value ?? -2) }
        return EvaluationReport(
            title: "Scores and the proximal Bregman response",
            question:
                "When the model is trained with more weight on one sequence, and otherwise kept close to its own outputs, do "
                + "scores predict how much likelier each query's completion becomes?",
            findings: findings(ranked),
            sections: [
                ("Correlation of scores and responses", correlations(ranked)),
                ("Sequence by sequence", scatters),
                ("How well the responses were found", quality),
            ],
            provenance: subject.provenance(seed: settings.seed, seconds: seconds))
    }

    private func correlations(_ ranked: [Estimator]) -> [EvaluationReport.Element] {
        [
            .paragraph(
                "Over \(sequences.count) sequences, half chosen by lexical overlap with the queries and half at random; the "
                    + "mean of \(queries.count) queries, with the interval that holds 95 % of it on redrawn queries and sequences. "
                    + "Above EK-FAC: the difference, both drawn on the same queries and sequences."
            ),
            .table(
                columns: ["", "Pearson", "above EK-FAC", "Spearman", "above EK-FAC", "s per query", "setup s"],
                rows: ranked.map {
                    [
                        $0.label, Figure.estimate($0.pearson), Figure.estimate($0.pearsonAboveEKFAC),
                        Figure.estimate($0.spearman), Figure.estimate($0.spearmanAboveEKFAC),
                        Figure.number($0.cost?.secondsPerQuery), Figure.number($0.cost?.setupSeconds),
                    ]
                }),
            .plot(
                "Pearson's correlation with the response, mean over queries, with its 95 % interval",
                .bars(
                    ranked.compactMap { own in own.pearson.map { Plot.Bar(own.label, $0) } },
                    label: "Pearson's correlation")),
            .plot(
                "Spearman's correlation with the response, mean over queries, with its 95 % interval",
                .bars(
                    ranked.compactMap { own in own.spearman.map { Plot.Bar(own.label, $0) } },
                    label: "Spearman's correlation")),
        ]
    }

    private var scatters: [EvaluationReport.Element] {
        [EstimatorKind.ekfac, .identity].compactMap { kind in
            guard let own = estimators.first(where: { $0.name == kind }) else { return nil }
            let unit = kind == .ekfac ? ", nats" : ""
            return .plot(
                kind == .ekfac
                    ? "One point per sequence and query: EK-FAC's score and the response"
                    : "The same for the inner product of gradients, whose unit is not that of the response",
                .scatter(
                    series(of: own),
                    x: Plot.Axis("score by \(kind.rawValue)\(unit)"), y: Plot.Axis("response, nats")))
        }
    }

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
                    + "\(Figure.number(settings.copies, 2)) more copies. The remaining share of the objective's initial gradient (0 at the "
                    + "minimum): median "
                    + "\(Figure.number(sorted.isEmpty ? nil : sorted[sorted.count / 2])), largest "
                    + "\(Figure.number(sorted.last)). \(small) of \(responses.count * sequences.count) responses are smaller than the "
                    + "rounding error, \(Figure.number(rounding, 2)) nats, and carry no information.")
        ]
    }

    private func findings(_ ranked: [Estimator]) -> [String] {
        guard let ekfac = estimators.first(where: { $0.name == .ekfac }), let own = ekfac.pearson else { return [] }
        let sorted = residuals.sorted()
        let median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
        var findings: [String] = []
        if median > Self.mostResidual {
            findings.append(
                "Warning: the responses have not reached the minimum. In the median response, \(Figure.number(median, 2)) of the initial "
                    + "gradient remains: give more --iterations before you read anything else here.")
        }
        findings.append("EK-FAC's scores correlate \(Figure.estimate(own)) (Pearson) with the responses.")
        if let difference = estimators.first(where: { $0.name == .identity })?.pearsonAboveEKFAC {
            let verdict = difference.high < 0 ? "less" : difference.low > 0 ? "more" : "not clearly less"
            findings.append(
                "Inner products of gradients correlate \(verdict) than EK-FAC's scores: the difference is "
                    + "\(Figure.estimate(difference)).")
        }
        if let best = ranked.first, best.name != .ekfac, let value = best.pearson {
            findings.append("\(best.label) has the highest correlation, \(Figure.estimate(value)).")
        }
        if let fast = ekfac.cost?.secondsPerQuery, fast > 0 {
            for lissa in estimators where lissa.name == .lissa {
                guard let slow = lissa.cost?.secondsPerQuery, let difference = lissa.pearsonAboveEKFAC
                else { continue }
                findings.append(
                    "\(lissa.label) takes \(Figure.number(slow / fast, 0)) times as long per query, and its correlation differs from EK-FAC's by "
                        + "\(Figure.estimate(difference)).")
            }
        }
        return findings
    }
}

extension ResponseResult.Estimator {
    /// The estimator's name, with LiSSA's number of iterations: it can be compared with several.
    var label: String {
        guard name == .lissa, let iterations = cost?.iterations else { return name.rawValue }
        return "lissa (\(Figure.number(iterations, 0)))"
    }
}
