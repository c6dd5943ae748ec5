import Curvature

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
        self.init(
            evaluation: evaluation, model: subject.checkpoint.digest, corpus: subject.corpusDigest,
            factors: try RunIdentity.text(subject.factors.provenance), seed: seed,
            settings: ["queries": try RunIdentity.text(queries), "settings": try RunIdentity.text(settings)])
    }
}
