/// What became of completions when what is said to have made them likely was not trained on.
public struct RemovalResult: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: RemovalStudy.Settings
    public var queries: [EvaluationQuery]
    /// Each query's log-probability under models trained on everything, their mean, in nats.
    public var whole: [Double]
    public var seconds: Double
    /// A way to choose what is taken out each; negative changes: the completion became less likely.
    public var choices: [QueryChanges]

    /// By how much less likely the first choice makes completions than the second, query by query.
    public func difference(_ first: String, _ second: String) -> Estimate? {
        guard let one = choices.first(where: { $0.name == first }),
            let other = choices.first(where: { $0.name == second })
        else { return nil }
        return Bootstrap(seed: settings.seed).mean(of: zip(one.changes, other.changes).map { $0 - $1 })
    }
}

extension RemovalResult {
    public var report: EvaluationReport {
        let ekfac = EstimatorKind.ekfac.rawValue
        let findings = choices.filter { $0.name != ekfac }.compactMap { choice -> String? in
            guard let difference = difference(ekfac, choice.name) else { return nil }
            let verdict =
                difference.high < 0
                ? "more than" : difference.low > 0 ? "less than" : "about as much as, within the interval,"
            return "Without EK-FAC's top \(settings.count) completions lose \(verdict) what they lose without those of "
                + "\(choice.name): the difference is \(Figure.estimate(difference)) nats."
        }
        return EvaluationReport(
            title: "Leaving the top \(settings.count) out",
            question:
                "Does a completion become less likely when the sequences that are said to have made it likely are not "
                + "trained on?",
            findings: findings,
            sections: [
                .init(
                    "Change of the completion's log-probability, nats",
                    [
                        .paragraph(
                            "Models are trained anew on all \(subject.sequences) sequences but \(settings.count): "
                                + "\(settings.repeats) for each query and choice, beside \(settings.wholes) on everything."
                        ),
                        .table(
                            ReportTable(
                                columns: ["taken out by", "mean of \(queries.count) queries"],
                                rows: choices.map { [$0.name, Figure.estimate($0.mean)] })),
                        .plot(
                            Plot(
                                "Mean change of the log-probability, with its 95 % interval",
                                .bars(
                                    choices.compactMap { own in own.mean.map { Plot.Bar(own.name, $0) } },
                                    label: "nats; negative: less likely"))),
                    ]),
                .init(
                    "Query by query",
                    [
                        .table(
                            ReportTable(
                                columns: ["query", "before"] + choices.map(\.name),
                                rows: queries.indices.map { query in
                                    [Figure.excerpt(queries[query]), Figure.number(whole[query], 2)]
                                        + choices.map { Figure.number($0.changes[query], 2) }
                                }))
                    ]),
            ],
            provenance: subject.facts + [
                .init("Seed", "\(settings.seed)"), .init("This run took", Figure.duration(seconds)),
            ])
    }
}

extension Figure {
    /// The end of a prompt with its completion, short enough for a table.
    static func excerpt(_ query: EvaluationQuery, _ length: Int = 48) -> String {
        let whole = (query.prompt + "→" + query.completion).split(whereSeparator: \.isNewline).joined(separator: " ")
        return whole.count <= length ? whole : "…" + whole.suffix(length - 1)
    }
}
