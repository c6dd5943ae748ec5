import Attribution
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// Takes the top sequences of each query out of the corpus, trains the model anew, and looks how much less likely the query's
/// completion has become; the same for as many sequences chosen by words in common, and at random.
public struct RemovalStudy: Sendable {
    public struct Settings: Sendable, Codable, Equatable {
        /// How many sequences are taken out.
        public var count = 20
        public var estimators: [EstimatorKind] = [.ekfac, .identity, .tfidf]
        /// Models that are trained for each choice, each from other initial weights.
        public var repeats = 1
        /// Models that are trained on the whole corpus, for comparison, for each of `repeats`.
        public var wholes = 4
        public var solving = EstimatorSettings()
        public var seed: UInt64 = 0

        public init() {}
    }

    let subject: EvaluationSubject
    let settings: Settings
    let limit: Double?

    public init(_ subject: EvaluationSubject, settings: Settings = Settings(), limit: Double? = 1_800) {
        self.subject = subject
        self.settings = settings
        self.limit = limit
    }

    static let random = "random"

    /// - Parameter records: Where the trained models' measurements are kept, and taken up.
    /// - Throws: As ``LinearDatamodeling/run(_:given:records:control:)``.
    public func run(
        _ queries: [EvaluationQuery], records path: String, control: EvaluationControl = EvaluationControl()
    ) throws -> RemovalResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let recipe = try RetrainingRecipe(of: subject)
        let records = try RunRecords<[Double]>(
            path: path,
            identity: RunIdentity(
                trainingsFor: "remove", recipe, subject, measurements, seed: settings.seed,
                settings: [
                    "count": "\(settings.count)", "model": subject.checkpoint.digest,
                    "factors": try RunIdentity.text(subject.factors.provenance),
                    "solving": try RunIdentity.text(settings.solving),
                ]))
        let removed = try choices(measurements, records: path + ".scores", control)
        let everything = Array(subject.rowids.indices)
        func seed(_ number: Int) -> UInt64 { recipe.settings.seed &+ settings.seed &+ UInt64(number) }
        let wholes = (0..<max(settings.wholes, settings.repeats)).map {
            RetrainedMeasurements.Training(key: "whole/\($0)", places: everything, seed: seed($0))
        }
        let parts = removed.flatMap { name, perQuery in
            perQuery.enumerated().flatMap { query, places in
                (0..<settings.repeats).map { number in
                    let gone = Set(places)
                    return RetrainedMeasurements.Training(
                        key: "\(name)/\(query)/\(number)", places: everything.filter { !gone.contains($0) },
                        seed: seed(number))
                }
            }
        }
        let found = try RetrainedMeasurements(
            recipe: recipe, parameters: subject.decoder.parameterCount, measurements: measurements,
            workers: subject.workers, records: records
        ).run(wholes + parts, limit: limit, control: control)

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

    /// What is taken out: by each estimator, for each query, the places of its top sequences.
    private func choices(
        _ measurements: [Measurement], records path: String, _ control: EvaluationControl
    ) throws -> [(name: String, places: [[Int]])] {
        let corpus = try CorpusScores(for: "remove", subject, measurements, settings.solving, records: path)
        let chosen = try settings.estimators.map { estimator in
            let scores = try corpus.scores(by: estimator, control.solving(estimator.rawValue))
            return (name: estimator.rawValue, places: scores.map { TopSequences(of: $0, count: settings.count).places })
        }
        let random = measurements.indices.map {
            TopSequences(
                drawnFrom: subject.rowids.count, count: settings.count, seed: settings.seed, query: $0
            ).places
        }
        return chosen + [(name: Self.random, places: random)]
    }
}
