import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// Ranks candidates for some queries by every estimator, and compares the rankings (``EstimatorReport``).
///
///     candidates of each query -> each estimator's scores of them -> correlations of all pairs
public struct EstimatorComparison: Sendable {
    let subject: EvaluationSubject
    let settings: EstimatorSettings
    /// Seconds that an estimator may take for all queries; nil for as long as it takes.
    let limit: Double?

    public init(
        _ subject: EvaluationSubject, settings: EstimatorSettings = EstimatorSettings(), limit: Double? = 1_800
    ) {
        self.subject = subject
        self.settings = settings
        self.limit = limit
    }

    /// - Parameter path: Where each estimator's scores are kept as they are found, and taken up.
    /// - Throws: ``EvaluationError``, ``RunRecordsError``, `SolveError`, or what reading the corpus threw.
    public func run(
        _ queries: [EvaluationQuery], records path: String, control: EvaluationControl = EvaluationControl()
    ) throws -> EstimatorReport {
        let start = Date()
        let solver = EstimatorSolver(subject, settings)
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let records = try RunRecords<ScoreRecord>(path: path, identity: try identity(queries))
        let missing = settings.estimators.filter { records[$0.rawValue] == nil }
        if let limit {
            for (estimator, seconds) in try solver.expectedSeconds(of: missing, step: control.step) {
                try EvaluationError.check(
                    seconds: seconds * Double(queries.count), bytes: solver.bytes(of: estimator), limit: limit,
                    of: estimator.rawValue)
            }
        }
        let candidates = try measurements.enumerated().map { try chooseCandidates(for: $1, number: $0, solver) }
        let union = Set(candidates.joined()).sorted()
        let columns = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        for estimator in missing {
            let (scores, cost) = try solver.scores(
                of: measurements, by: estimator, over: union, control.solving(estimator.rawValue))
            let own = zip(scores, candidates).map { scores, places in
                places.compactMap { columns[$0].map { scores[$0] } }
            }
            try records.append(estimator.rawValue, ScoreRecord(scores: own, cost: cost))
        }
        let found = settings.estimators.compactMap { records[$0.rawValue] }
        return EstimatorReport(
            subject: EvaluatedSubject(subject), settings: settings,
            queries: zip(queries, candidates).map {
                .init(prompt: $0.prompt, completion: $0.completion, candidates: $1.count)
            },
            estimators: found.compactMap(\.cost), scores: found.map(\.scores),
            seconds: Date().timeIntervalSince(start))
    }

    private func identity(_ queries: [EvaluationQuery]) throws -> RunIdentity {
        var settings = settings
        // Others may be asked for when a run is taken up.
        settings.estimators = []
        return try RunIdentity(scoresFor: "estimators", subject, queries, seed: settings.seed, settings: settings)
    }

    /// Half by words in common, half at random; places, in ascending order.
    private func chooseCandidates(for measurement: Measurement, number: Int, _ solver: EstimatorSolver) throws -> [Int]
    {
        let everyPlace = Array(subject.rowids.indices)
        let matches = try solver.matches(of: measurement, with: everyPlace)
        let matching = everyPlace.filter { matches[$0] > 0 }.sorted { (matches[$0], $1) > (matches[$1], $0) }
        var chosen = Set(matching.prefix(settings.candidates / 2))
        var generator = SplitMix64(seed: settings.seed &+ UInt64(number))
        for place in everyPlace.shuffled(using: &generator) where chosen.count < settings.candidates {
            chosen.insert(place)
        }
        return chosen.sorted()
    }
}
