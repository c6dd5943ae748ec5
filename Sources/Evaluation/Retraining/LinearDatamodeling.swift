import Foundation
import JSON
import LinearAlgebra

/// The linear datamodeling score (Park et al. 2023, "TRAK"): models are trained on random parts of the corpus, and each query's
/// log-probability under them is compared with the prediction of the scores: the sum over the sequences in the part.
///
/// The score of an estimator is Spearman's correlation of the two over the parts, the mean over queries.
public struct LinearDatamodeling: EvaluationStudy {
    public static let name = "lds"

    public struct Settings: Sendable, Codable, Equatable {
        /// How many models are trained.
        public var subsets = 100
        /// The share of all sequences in each part.
        public var share = 0.5
        public var estimators: [EstimatorKind] = [.ekfac, .kfac, .identity, .cosine, .astra, .tfidf]
        public var solving = EstimatorSettings()
        /// Decides parts, initial weights and orders.
        public var seed: UInt64 = 0

        public init() {}
    }

    let subject: EvaluationSubject
    let queries: [EvaluationQuery]
    let given: [GivenScores]
    let settings: Settings

    /// - Parameter given: Another program's scores of the same sequences for the same queries.
    public init(
        _ subject: EvaluationSubject, _ queries: [EvaluationQuery], given: [GivenScores] = [],
        settings: Settings = Settings()
    ) {
        self.subject = subject
        self.queries = queries
        self.given = given
        self.settings = settings
    }

    /// Keeps the trained models' measurements in the control's records, and the estimators' scores beside them.
    ///
    /// - Throws: ``GivenScoresError``, and as every study.
    public func run(_ control: EvaluationControl) throws -> DatamodelingResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        for scores in given { try scores.check(queries: queries.count, sequences: subject.rowids.count) }
        let recipe = try RetrainingRecipe(of: subject)
        let subsets = TrainingSubsets(
            of: subject.rowids.count, count: settings.subsets, share: settings.share, seed: settings.seed)
        let records = try RunRecords<[Double]>(
            path: control.records,
            identity: RunIdentity(
                trainingsFor: Self.name, recipe, subject, measurements, seed: settings.seed,
                settings: ["share": "\(settings.share)"]))
        let trainings = subsets.indices.enumerated().map { number, indices in
            RetrainedMeasurements.Training(
                key: "subset \(number)", indices: indices, seed: recipe.settings.seed &+ settings.seed)
        }
        let found = try RetrainedMeasurements(
            recipe: recipe, subject: subject, measurements: measurements, records: records
        ).run(trainings, control)
        let actual = trainings.map { found[$0.key] ?? [] }

        let corpus = try CorpusScores(
            for: Self.name, subject, measurements, settings.solving, records: control.records.map { $0 + ".scores" })
        var predictions = try settings.estimators.map { estimator in
            (name: estimator.rawValue, scores: try corpus.scores(by: estimator, control.solving(estimator.rawValue)))
        }
        var generator = SplitMix64(seed: ~settings.seed)
        predictions.append(
            ("random", queries.map { _ in subject.rowids.map { _ in Double(generator.nextNormal()) } }))
        predictions += given.map { ($0.name, $0.scores) }
        return DatamodelingResult(
            subject: EvaluatedSubject(subject), settings: settings, queries: queries,
            seconds: Date().timeIntervalSince(start),
            estimators: DatamodelingResult.Estimator.compared(
                predictions.map { name, scores in
                    (name, scores.map { scores in subsets.indices.map { $0.reduce(0) { $0 + scores[$1] } } })
                }, with: queries.indices.map { query in actual.map { $0[query] } }, seed: settings.seed),
            actual: actual)
    }
}

/// Random parts of a corpus that models are trained on.
struct TrainingSubsets: Sendable, Equatable {
    /// For each model, the indices of its sequences in ascending order.
    let indices: [[Int]]

    /// - Parameter share: The share of all sequences in each subset.
    init(of sequences: Int, count: Int, share: Double, seed: UInt64) {
        let kept = min(max(Int((share * Double(sequences)).rounded()), 1), sequences)
        indices = (0..<count).map { number in
            var generator = SplitMix64(seed: seed &+ 0x5EED_0F_5E75 &* UInt64(number + 1))
            return (0..<sequences).shuffled(using: &generator).prefix(kept).sorted()
        }
    }
}

/// Another program's scores, to be evaluated beside the estimators.
///
/// A JSON file of `{"name", "scores"}`: one row per query in the order of the evaluation's queries, and in it one number per sequence
/// in the order of the corpus.
public struct GivenScores: Sendable, Codable, Equatable {
    public var name: String
    public var scores: [[Double]]
}

extension GivenScores {
    /// - Throws: ``GivenScoresError``.
    public init(path: String) throws {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw GivenScoresError.unreadable(path: path)
        }
        do {
            self = try JSONTreeDecoder.decode(GivenScores.self, from: data)
        } catch {
            throw GivenScoresError.notScores(path: path)
        }
    }

    func check(queries: Int, sequences: Int) throws {
        guard scores.count == queries else {
            throw GivenScoresError.wrongCount(name: name, of: "queries", expected: queries, found: scores.count)
        }
        for row in scores where row.count != sequences {
            throw GivenScoresError.wrongCount(name: name, of: "sequences", expected: sequences, found: row.count)
        }
    }
}

/// Why another program's scores cannot be evaluated.
public enum GivenScoresError: Error, Equatable, CustomStringConvertible {
    case unreadable(path: String)
    case notScores(path: String)
    case wrongCount(name: String, of: String, expected: Int, found: Int)

    public var description: String {
        switch self {
        case .unreadable(let path): "\(path): the file cannot be read"
        case .notScores(let path):
            "\(path): expected {\"name\": \"…\", \"scores\": [[…], …]}, with one row of numbers per query"
        case .wrongCount(let name, let of, let expected, let found):
            "the scores of \(name) are for \(found) \(of); the evaluation has \(expected). Make them for the same queries and corpus."
        }
    }
}

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
