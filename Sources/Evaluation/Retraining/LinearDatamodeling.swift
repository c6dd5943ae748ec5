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
