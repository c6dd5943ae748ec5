import Attribution
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// The linear datamodeling score (Park et al. 2023, "TRAK"): models are trained on random parts of the corpus, and each query's
/// log-probability under them is compared with what the scores predict, the sum of the scores of the sequences in the part.
///
/// The score of an estimator is Spearman's correlation of the two over the parts, the mean over queries.
public struct LinearDatamodeling: Sendable {
    public struct Settings: Sendable, Codable, Equatable {
        /// How many models are trained.
        public var subsets = 100
        /// Of all sequences, in each part.
        public var share = 0.5
        public var estimators: [EstimatorKind] = [.ekfac, .kfac, .identity, .cosine, .astra, .tfidf]
        public var solving = EstimatorSettings()
        /// Decides parts, initial weights and orders.
        public var seed: UInt64 = 0

        public init() {}
    }

    let subject: EvaluationSubject
    let settings: Settings
    /// Seconds that the trainings may take; nil for as long as they take.
    let limit: Double?

    public init(_ subject: EvaluationSubject, settings: Settings = Settings(), limit: Double? = 1_800) {
        self.subject = subject
        self.settings = settings
        self.limit = limit
    }

    /// - Parameters:
    ///   - given: Scores that another program found for the same queries and sequences.
    ///   - records: Where the trained models' measurements are kept, and taken up; the estimators' scores are kept beside it.
    /// - Throws: ``EvaluationError``, ``RunRecordsError``, ``TrainingError``, ``GivenScoresError``, `SolveError`.
    public func run(
        _ queries: [EvaluationQuery], given: [GivenScores] = [], records path: String,
        control: EvaluationControl = EvaluationControl()
    ) throws -> DatamodelingResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        for scores in given { try scores.check(queries: queries.count, sequences: subject.rowids.count) }
        let recipe = try RetrainingRecipe(of: subject)
        let subsets = TrainingSubsets(
            of: subject.rowids.count, count: settings.subsets, share: settings.share, seed: settings.seed)
        let records = try RunRecords<[Double]>(
            path: path,
            identity: RunIdentity(
                trainingsFor: "lds", recipe, subject, measurements, seed: settings.seed,
                settings: ["share": "\(settings.share)"]))
        let trainings = subsets.places.enumerated().map { number, places in
            RetrainedMeasurements.Training(
                key: "subset \(number)", places: places, seed: recipe.settings.seed &+ settings.seed)
        }
        let found = try RetrainedMeasurements(
            recipe: recipe, parameters: subject.decoder.parameterCount, measurements: measurements,
            workers: subject.workers, records: records
        ).run(trainings, limit: limit, control: control)
        let actual = trainings.map { found[$0.key] ?? [] }

        let corpus = try CorpusScores(
            for: "lds", subject, measurements, settings.solving, records: path + ".scores")
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
            estimators: predictions.map { prediction in
                let predicted = subsets.places.map { places in
                    prediction.scores.map { scores in places.reduce(0) { $0 + scores[$1] } }
                }
                return DatamodelingResult.Estimator(
                    prediction.name, predicted: predicted, actual: actual, seed: settings.seed)
            },
            actual: actual)
    }
}
