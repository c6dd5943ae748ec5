import Curvature
import LinearAlgebra

/// Every query's scores of the whole corpus, each estimator's kept as soon as they are found.
struct CorpusScores: Sendable {
    let solver: EstimatorSolver
    let measurements: [Measurement]
    private let records: RunRecords<ScoreRecord>

    /// Queries that are solved at a time, which shares forward passes.
    private static let together = 20

    /// - Parameters:
    ///   - evaluation: For which they are.
    ///   - path: Where they are kept, and taken up.
    init(
        for evaluation: String, _ subject: EvaluationSubject, _ measurements: [Measurement],
        _ settings: EstimatorSettings, records path: String
    ) throws {
        solver = EstimatorSolver(subject, settings)
        self.measurements = measurements
        var settings = settings
        // Others may be asked for when a run is taken up.
        settings.estimators = []
        records = try RunRecords(
            path: path,
            identity: RunIdentity(
                scoresFor: evaluation, subject, measurements.map(\.query), seed: settings.seed, settings: settings))
    }

    /// - Returns: For each query, one score a sequence of the corpus.
    func scores(by estimator: EstimatorKind, _ control: WorkControl<WorkProgress>) throws -> [[Double]] {
        if let known = records[estimator.rawValue] { return known.scores }
        let places = Array(solver.subject.rowids.indices)
        var scores: [[Double]] = []
        for start in stride(from: 0, to: measurements.count, by: Self.together) {
            let chosen = Array(measurements[start..<min(start + Self.together, measurements.count)])
            scores += try solver.scores(of: chosen, by: estimator, over: places, together: true, control).scores
        }
        try records.append(estimator.rawValue, ScoreRecord(scores: scores))
        return scores
    }
}
