import Curvature
import LinearAlgebra

/// Every query's scores of the whole corpus, each estimator's kept as soon as they are computed.
struct CorpusScores: Sendable {
    let solver: EstimatorSolver
    let measurements: [Measurement]
    private let records: RunRecords<ScoreRecord>

    /// How many queries are solved at a time, which lets them share forward passes.
    private static let together = 20

    /// - Parameter path: The file with the scores, from which an interrupted run continues; `nil` for none.
    init(
        for evaluation: String, _ subject: EvaluationSubject, _ measurements: [Measurement],
        _ settings: EstimatorSettings, records path: String?
    ) throws {
        solver = EstimatorSolver(subject, settings)
        self.measurements = measurements
        records = try RunRecords(
            path: path,
            identity: RunIdentity(
                scoresFor: evaluation, subject, measurements.map(\.query), seed: settings.seed,
                settings: settings.withoutEstimators))
    }

    /// - Returns: For each query, one score per sequence of the corpus.
    func scores(by estimator: EstimatorKind, _ control: WorkControl<WorkProgress>) throws -> [[Double]] {
        if let known = records[estimator.rawValue] { return known.scores }
        var scores: [[Double]] = []
        for start in stride(from: 0, to: measurements.count, by: Self.together) {
            let chosen = Array(measurements[start..<min(start + Self.together, measurements.count)])
            scores += try solver.scores(
                of: chosen, by: estimator, over: Array(solver.subject.sequences), together: true, control
            ).scores
        }
        try records.append(estimator.rawValue, ScoreRecord(scores: scores))
        return scores
    }
}

/// Scores as a run keeps them as soon as they are computed: one row per query, one column per sequence.
struct ScoreRecord: Sendable, Codable {
    var scores: [[Double]]
    var cost: EstimatorCost?
    /// Of a response: ``ProximalBregmanResponse/Response/residual``, and the seconds that it took.
    var residual: Double?
    var seconds: Double?
}

extension RunIdentity {
    /// - Parameter settings: Everything else that the scores depend on.
    init(
        scoresFor evaluation: String, _ subject: EvaluationSubject, _ queries: [EvaluationQuery], seed: UInt64,
        settings: some Encodable
    ) throws {
        self.init(
            evaluation: evaluation, model: subject.checkpoint.digest, corpus: subject.corpusDigest,
            factors: try RunIdentity.text(subject.factors.provenance), seed: seed,
            settings: ["queries": try RunIdentity.text(queries), "settings": try RunIdentity.text(settings)])
    }
}

/// The sequences with the highest scores.
struct TopSequences {
    /// Their indices, from the highest score down.
    let indices: [Int]

    init(of scores: [Double], count: Int) {
        let order = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
        indices = Array(order.prefix(count))
    }

    /// For each of some queries, the indices of `count` sequences drawn at random.
    static func random(for queries: Int, from sequences: Int, count: Int, seed: UInt64) -> [[Int]] {
        (0..<queries).map { query in
            var generator = SplitMix64(seed: seed &+ 0x7A4D_04 &* UInt64(query + 1))
            return Array((0..<sequences).shuffled(using: &generator).prefix(count))
        }
    }

    /// The share of these sequences that are also in the other top.
    func share(in other: TopSequences) -> Double {
        guard !indices.isEmpty else { return 0 }
        return Double(Set(indices).intersection(other.indices).count) / Double(indices.count)
    }
}
