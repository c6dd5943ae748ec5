import Foundation
import LinearAlgebra

/// Ranks candidates for some queries by every estimator, and compares the rankings (``EstimatorReport``).
///
///     candidates of each query -> each estimator's scores of them -> correlations of all pairs
public struct EstimatorComparison: EvaluationStudy {
    public static let name = "estimators"

    let subject: EvaluationSubject
    let queries: [EvaluationQuery]
    let settings: EstimatorSettings

    public init(
        _ subject: EvaluationSubject, _ queries: [EvaluationQuery], settings: EstimatorSettings = EstimatorSettings()
    ) {
        self.subject = subject
        self.queries = queries
        self.settings = settings
    }

    public func run(_ control: EvaluationControl) throws -> EstimatorReport {
        let start = Date()
        let solver = EstimatorSolver(subject, settings)
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let records = try RunRecords<ScoreRecord>(
            path: control.records,
            identity: RunIdentity(
                scoresFor: Self.name, subject, queries, seed: settings.seed, settings: settings.withoutEstimators))
        let missing = settings.estimators.filter { records[$0.rawValue] == nil }
        if control.limit != nil {
            for (estimator, seconds) in try solver.expectedSeconds(of: missing, step: control.step) {
                try control.check(
                    seconds: seconds * Double(queries.count), bytes: solver.bytes(of: estimator),
                    of: estimator.rawValue)
            }
        }
        let candidates = try measurements.enumerated().map { try chooseCandidates(for: $1, number: $0, solver) }
        let union = Set(candidates.joined()).sorted()
        let columns = Dictionary(uniqueKeysWithValues: zip(union, union.indices))
        for estimator in missing {
            let (scores, cost) = try solver.scores(
                of: measurements, by: estimator, over: union, control.solving(estimator.rawValue))
            let own = zip(scores, candidates).map { scores, candidates in
                candidates.compactMap { columns[$0].map { scores[$0] } }
            }
            try records.append(estimator.rawValue, ScoreRecord(scores: own, cost: cost))
        }
        let found = settings.estimators.compactMap { records[$0.rawValue] }
        let seconds = Date().timeIntervalSince(start)
        return EstimatorReport(
            subject: EvaluatedSubject(subject), settings: settings,
            queries: zip(queries, candidates).map {
                .init(prompt: $0.prompt, completion: $0.completion, candidates: $1.count)
            },
            estimators: found.compactMap(\.cost), pearson: correlations(of: found, by: Correlation.pearson),
            spearman: correlations(of: found, by: Correlation.spearman), seconds: seconds)
    }

    /// Half of the candidates by lexical overlap, half at random; in ascending order.
    private func chooseCandidates(for measurement: Measurement, number: Int, _ solver: EstimatorSolver) throws -> [Int]
    {
        var chosen = Set(try solver.ranking(byMatchWith: measurement).prefix(settings.candidates / 2))
        var generator = SplitMix64(seed: settings.seed &+ UInt64(number))
        for sequence in subject.sequences.shuffled(using: &generator) where chosen.count < settings.candidates {
            chosen.insert(sequence)
        }
        return chosen.sorted()
    }

    private func correlations(
        of found: [ScoreRecord], by correlation: ([Double], [Double]) -> Double?
    ) -> [[Estimate?]] {
        var table = found.map { _ in [Estimate?](repeating: nil, count: found.count) }
        for left in found.indices {
            for right in left..<found.count {
                let mean = QueryCorrelations(of: found[left].scores, with: found[right].scores).mean(
                    by: correlation, Bootstrap(draws: 400, seed: settings.seed))
                table[left][right] = mean
                table[right][left] = mean
            }
        }
        return table
    }
}

/// How similarly the estimators rank, and what each costs.
public struct EstimatorReport: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: EstimatorSettings
    public var queries: [Query]
    public var estimators: [EstimatorCost]
    /// Pearson's correlation of the scores of a query's candidates: the mean over queries, with its bootstrap interval over queries
    /// and candidates. One row and one column per estimator, in their order; null if an estimator's scores do not vary.
    public var pearson: [[Estimate?]]
    /// The same for ranks (Spearman).
    public var spearman: [[Estimate?]]
    /// The time of this run, without the parts that an earlier run had finished.
    public var seconds: Double

    public struct Query: Sendable, Codable, Equatable {
        public var prompt: String
        public var completion: String
        public var candidates: Int
    }
}

extension EstimatorReport {
    public var report: EvaluationReport {
        EvaluationReport(
            title: "Estimators of influence",
            question: "How similarly do estimators rank the same sequences, and what do they cost?",
            sections: [
                ("Costs", [costs]),
                ("Pearson's correlation of scores, mean over queries", [table(pearson)]),
                ("Spearman's correlation of ranks, mean over queries", [table(spearman)]),
                ("Agreement with EK-FAC", agreement),
            ],
            provenance: subject.provenance(
                seed: settings.seed, seconds: seconds,
                [
                    ("Queries", "\(queries.count), with \(queries.map(\.candidates).max() ?? 0) candidates each")
                ]))
    }

    private var costs: EvaluationReport.Element {
        .table(
            columns: ["", "setup s", "s per query", "MB", "iterations", "sequences", "residual"],
            rows: estimators.map {
                [
                    $0.name.rawValue, Figure.number($0.setupSeconds, 2), Figure.number($0.secondsPerQuery),
                    Figure.number(Double($0.bytes) / 1e6, 1), Figure.number($0.iterations, 0),
                    Figure.number($0.sequences, 0), Figure.number($0.residual),
                ]
            })
    }

    private func table(_ values: [[Estimate?]]) -> EvaluationReport.Element {
        let names = estimators.map { $0.name == .conjugateGradients ? "cg" : $0.name.rawValue }
        return .table(
            columns: [""] + names, rows: zip(names, values).map { [$0] + $1.map { Figure.number($0?.value) } })
    }

    /// The row of EK-FAC, with intervals.
    private var agreement: [EvaluationReport.Element] {
        guard let ekfac = estimators.firstIndex(where: { $0.name == .ekfac }) else { return [] }
        let others = estimators.indices.filter { $0 != ekfac }
        return [
            .table(
                columns: ["", "Pearson", "Spearman"],
                rows: others.map {
                    [
                        estimators[$0].name.rawValue, Figure.estimate(pearson[ekfac][$0]),
                        Figure.estimate(spearman[ekfac][$0]),
                    ]
                }),
            .plot(
                "Spearman's correlation with EK-FAC, mean over queries, with its 95 % interval",
                .bars(
                    others.compactMap { other in
                        spearman[ekfac][other].map { Plot.Bar(estimators[other].name.rawValue, $0) }
                    }, label: "Spearman's correlation")),
        ]
    }
}
