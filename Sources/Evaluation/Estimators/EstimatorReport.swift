/// How alike the estimators rank, and what each takes.
public struct EstimatorReport: Sendable, Codable, Equatable {
    public var model: String
    public var modelDigest: String
    public var corpusDigest: String
    public var corpusSequences: Int
    public var settings: EstimatorSettings
    public var queries: [Query]
    public var estimators: [EstimatorCost]
    /// Pearson's correlation of the scores of a query's candidates, the mean over queries: a row and a column an estimator, in
    /// their order. Null where an estimator's scores do not vary.
    public var pearson: [[Double?]]
    /// The same of ranks (Spearman).
    public var spearman: [[Double?]]

    public struct Query: Sendable, Codable, Equatable {
        public var prompt: String
        public var completion: String
        public var candidates: Int
    }

    enum CodingKeys: String, CodingKey {
        case model
        case modelDigest = "model_digest"
        case corpusDigest = "corpus_digest"
        case corpusSequences = "corpus_sequences"
        case settings, queries, estimators, pearson, spearman
    }

    /// Correlations of all pairs of estimators, the mean over queries.
    ///
    /// - Parameter scores: For each query, each estimator's scores of its candidates.
    static func correlations(
        _ scores: [[[Double]]], by correlation: ([Double], [Double]) -> Double?
    ) -> [[Double?]] {
        let count = scores.first?.count ?? 0
        return (0..<count).map { left in
            (0..<count).map { right in
                let found = scores.compactMap { correlation($0[left], $0[right]) }
                return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
            }
        }
    }
}

extension EstimatorReport {
    /// The comparison as people read it.
    public var report: EvaluationReport {
        EvaluationReport(
            title: "Estimators of influence",
            question: "How alike do estimators rank the same sequences, and what do they take?",
            sections: [
                .init(
                    "What each takes",
                    [
                        .table(
                            ReportTable(
                                columns: ["", "setup s", "s a query", "MB", "iterations", "sequences", "residual"],
                                rows: estimators.map {
                                    [
                                        $0.name.rawValue, Figure.number($0.setupSeconds, 2),
                                        Figure.number($0.secondsPerQuery), Figure.number(Double($0.bytes) / 1e6, 1),
                                        Figure.number($0.iterations, 0), Figure.number($0.sequences, 0),
                                        Figure.number($0.residual),
                                    ]
                                }))
                    ]),
                .init("Pearson's correlation of scores, mean over queries", [.table(table(pearson))]),
                .init("Spearman's correlation of ranks, mean over queries", [.table(table(spearman))]),
            ],
            provenance: [
                .init("Model", "\(model), \(modelDigest)"),
                .init("Corpus", "\(corpusSequences) sequences, \(corpusDigest)"),
                .init("Queries", "\(queries.count), of \(queries.map(\.candidates).max() ?? 0) candidates each"),
                .init("Seed", "\(settings.seed)"),
            ])
    }

    private func table(_ values: [[Double?]]) -> ReportTable {
        let names = estimators.map { $0.name == .conjugateGradients ? "cg" : $0.name.rawValue }
        return ReportTable(
            columns: [""] + names, rows: zip(names, values).map { [$0] + $1.map { Figure.number($0) } })
    }
}
