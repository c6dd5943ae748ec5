import Curvature
import Foundation

/// Scores as a run keeps them as soon as they are found: a row a query, a column a sequence.
struct ScoreRecord: Sendable, Codable {
    var scores: [[Double]]
    /// Of an estimator.
    var cost: EstimatorCost?
    /// Of a response: ``ProximalBregmanResponse/Response/residual``, and the seconds that it took.
    var residual: Double?
    var seconds: Double?
}

extension RunIdentity {
    /// The identity of scores of a subject's sequences for some queries.
    ///
    /// - Parameter settings: All that the scores depend on beside those.
    init(
        scoresFor evaluation: String, _ subject: EvaluationSubject, _ queries: [EvaluationQuery], seed: UInt64,
        settings: some Encodable
    ) throws {
        func text(_ value: some Encodable) throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        self.init(
            evaluation: evaluation, model: subject.checkpoint.digest, corpus: subject.corpusDigest,
            factors: try text(subject.factors.provenance), seed: seed,
            settings: ["queries": try text(queries), "settings": try text(settings)])
    }
}
