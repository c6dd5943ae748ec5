import Curvature
import Foundation
import Transformer

/// Removes the top sequences of each query from the corpus, trains the model again, and measures how much less likely the query's
/// completion becomes; the same for as many sequences chosen by lexical overlap, and at random.
public struct RemovalStudy: EvaluationStudy {
    public static let name = "remove"

    public struct Settings: Sendable, Codable, Equatable {
        /// How many sequences are removed.
        public var count = 20
        public var estimators: [EstimatorKind] = [.ekfac, .identity, .tfidf]
        /// Models that are trained for each choice, each from other initial weights.
        public var repeats = 1
        /// Models that are trained on the whole corpus, for comparison; at least `repeats`.
        public var wholes = 4
        public var solving = EstimatorSettings()
        public var seed: UInt64 = 0

        public init() {}
    }

    let subject: EvaluationSubject
    let queries: [EvaluationQuery]
    let settings: Settings

    public init(_ subject: EvaluationSubject, _ queries: [EvaluationQuery], settings: Settings = Settings()) {
        self.subject = subject
        self.queries = queries
        self.settings = settings
    }

    /// Keeps the trained models' measurements in the control's records, and the estimators' scores beside them.
    public func run(_ control: EvaluationControl) throws -> RemovalResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let recipe = try RetrainingRecipe(of: subject)
        let records = try RunRecords<[Double]>(
            path: control.records,
            identity: RunIdentity(
                trainingsFor: Self.name, recipe, subject, measurements, seed: settings.seed,
                settings: [
                    "count": "\(settings.count)", "model": subject.checkpoint.digest,
                    "factors": try RunIdentity.text(subject.factors.provenance),
                    "solving": try RunIdentity.text(settings.solving),
                ]))
        let removed = try choices(measurements, control)
        let everything = Array(subject.sequences)
        func seed(_ number: Int) -> UInt64 { recipe.settings.seed &+ settings.seed &+ UInt64(number) }
        let wholes = (0..<max(settings.wholes, settings.repeats)).map {
            RetrainedMeasurements.Training(key: "whole/\($0)", indices: everything, seed: seed($0))
        }
        let parts = removed.flatMap { name, perQuery in
            perQuery.enumerated().flatMap { query, indices in
                (0..<settings.repeats).map { number in
                    let gone = Set(indices)
                    return RetrainedMeasurements.Training(
                        key: "\(name)/\(query)/\(number)", indices: everything.filter { !gone.contains($0) },
                        seed: seed(number))
                }
            }
        }
        let found = try RetrainedMeasurements(
            recipe: recipe, subject: subject, measurements: measurements, records: records
        ).run(wholes + parts, control)

        let whole = queries.indices.map { query in
            wholes.reduce(0) { $0 + (found[$1.key]?[query] ?? .nan) } / Double(wholes.count)
        }
        return RemovalResult(
            subject: EvaluatedSubject(subject), settings: settings, queries: queries, whole: whole,
            seconds: Date().timeIntervalSince(start),
            choices: removed.map { name, perQuery in
                QueryChanges(
                    name: name,
                    changes: queries.indices.map { query in
                        let after = (0..<settings.repeats).reduce(0.0) {
                            $0 + (found["\(name)/\(query)/\($1)"]?[query] ?? .nan)
                        }
                        return after / Double(settings.repeats) - whole[query]
                    }, seed: settings.seed)
            })
    }

    /// The sequences to remove: for each estimator and query, the indices of its top sequences; and random ones.
    private func choices(
        _ measurements: [Measurement], _ control: EvaluationControl
    ) throws -> [(name: String, indices: [[Int]])] {
        let corpus = try CorpusScores(
            for: Self.name, subject, measurements, settings.solving, records: control.records.map { $0 + ".scores" })
        let chosen = try settings.estimators.map { estimator in
            let scores = try corpus.scores(by: estimator, control.solving(estimator.rawValue))
            return (
                name: estimator.rawValue, indices: scores.map { TopSequences(of: $0, count: settings.count).indices }
            )
        }
        return chosen + [
            (
                "random",
                TopSequences.random(
                    for: measurements.count, from: subject.rowids.count, count: settings.count, seed: settings.seed)
            )
        ]
    }
}

/// How likely completions become when the sequences that are said to have made them likely are not trained on.
public struct RemovalResult: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: RemovalStudy.Settings
    public var queries: [EvaluationQuery]
    /// Each query's mean log-probability, in nats, under the models that were trained on everything.
    public var whole: [Double]
    public var seconds: Double
    /// One entry per way to choose the removed sequences; negative changes: the completion became less likely.
    public var choices: [QueryChanges]

    /// How much less likely the first choice makes completions than the second, query by query.
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
                ? "more than" : difference.low > 0 ? "less than" : "about as much as (within the interval)"
            return "Without EK-FAC's top \(settings.count), completions lose \(verdict) they lose without the top of "
                + "\(choice.name): the difference is \(Figure.estimate(difference)) nats."
        }
        return EvaluationReport(
            title: "Removal of the top \(settings.count)",
            question:
                "Does a completion become less likely when the sequences that are said to have made it likely are not "
                + "trained on?",
            findings: findings,
            sections: [
                (
                    "Change of the completion's log-probability, nats",
                    [
                        .paragraph(
                            "Models are trained on all \(subject.sequences) sequences except \(settings.count): "
                                + "\(settings.repeats) per query and choice, in addition to \(settings.wholes) on everything."
                        ),
                        .table(
                            columns: ["removed by", "mean of \(queries.count) queries"],
                            rows: choices.map { [$0.name, Figure.estimate($0.mean)] }),
                        .plot(
                            "Mean change of the log-probability, with its 95 % interval",
                            .bars(
                                choices.compactMap { own in own.mean.map { Plot.Bar(own.name, $0) } },
                                label: "nats; negative: less likely")),
                    ]
                ),
                (
                    "Query by query",
                    [
                        .table(
                            columns: ["query", "before"] + choices.map(\.name),
                            rows: queries.indices.map { query in
                                [Figure.excerpt(queries[query]), Figure.number(whole[query], 2)]
                                    + choices.map { Figure.number($0.changes[query], 2) }
                            })
                    ]
                ),
            ],
            provenance: subject.provenance(seed: settings.seed, seconds: seconds))
    }
}

extension Figure {
    /// The end of a prompt with its completion, short enough for a table.
    static func excerpt(_ query: EvaluationQuery, _ length: Int = 48) -> String {
        let whole = (query.prompt + "→" + query.completion).split(whereSeparator: \.isNewline).joined(separator: " ")
        return whole.count <= length ? whole : "…" + whole.suffix(length - 1)
    }
}
