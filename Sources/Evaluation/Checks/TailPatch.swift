import Foundation
import LinearAlgebra
import Transformer

/// Takes one step of gradient descent on each of a query's top sequences alone, and measures how much likelier the completion becomes
/// (Chang et al. 2024, "Scalable Influence and Fact Tracing", section 5: the tail-patch score). No model is trained from scratch.
public struct TailPatch: EvaluationStudy {
    public static let name = "tailpatch"

    public struct Settings: Sendable, Codable, Equatable {
        /// How many of a query's top sequences are examined.
        public var count = 10
        public var estimators: [EstimatorKind] = [.ekfac, .identity, .cosine, .tfidf]
        /// How far a step moves all parameters, as a share of their norm, on average over sequences; all steps have one learning rate.
        public var stepShare = 1e-3
        public var solving = EstimatorSettings()
        public var seed: UInt64 = 0

        public init() {}
    }

    let subject: EvaluationSubject
    let queries: [EvaluationQuery]
    let settings: Settings

    public init(_ subject: EvaluationSubject, _ queries: [EvaluationQuery], settings: Settings = Settings()) {
        self.subject = subject
        self.queries = queries
        self.settings = settings
    }

    /// How many sequences determine the learning rate.
    private static let sample = 32

    public func run(_ control: EvaluationControl) throws -> TailPatchResult {
        let start = Date()
        let measurements = try Measurement.all(queries, of: subject.checkpoint)
        let rate = try learningRate()
        let solver = EstimatorSolver(subject, settings.solving)
        let everything = Array(subject.sequences)
        var chosen: [(name: String, indices: [[Int]])] = []
        for estimator in settings.estimators {
            let scores = try solver.scores(
                of: measurements, by: estimator, over: everything, control.solving(estimator.rawValue)
            ).scores
            chosen.append((estimator.rawValue, scores.map { TopSequences(of: $0, count: settings.count).indices }))
        }
        chosen.append(
            (
                "random",
                TopSequences.random(
                    for: queries.count, from: everything.count, count: settings.count, seed: settings.seed)
            ))
        let results = try chosen.map { choice in
            let means = try changes(choice.name, choice.indices, measurements, rate, control)
            return QueryChanges(name: choice.name, changes: means, seed: settings.seed)
        }
        return TailPatchResult(
            subject: EvaluatedSubject(subject), settings: settings, queries: queries, learningRate: rate,
            seconds: Date().timeIntervalSince(start), choices: results)
    }

    /// The mean change of each query's log-probability over its sequences.
    private func changes(
        _ name: String, _ indices: [[Int]], _ measurements: [Measurement], _ rate: Double, _ control: EvaluationControl
    ) throws -> [Double] {
        let slots = (0..<subject.workers.count).map { _ in WorkerSlot(DecoderWorkspace()) }
        return try subject.workers.map(0..<measurements.count) { worker, query in
            try slots[worker].withState { workspace in
                let before = measurements[query].logProbability(under: subject.decoder, in: &workspace)
                var sum = 0.0
                for sequence in try subject.sequences(indices[query]) {
                    try control.step()
                    var batch = TokenBatch()
                    batch.append(sequence)
                    let step = subject.decoder.descentStep(on: batch, in: &workspace)
                    let stepped = subject.decoder.stepped(step, learningRate: rate)
                    sum += measurements[query].logProbability(under: stepped, in: &workspace) - before
                }
                control.report("steps by \(name)", query, of: measurements.count)
                return sum / Double(max(indices[query].count, 1))
            }
        }
    }

    private func learningRate() throws -> Double {
        var workspace = DecoderWorkspace()
        let sample = subject.spread(Self.sample)
        let mean =
            try subject.sequences(sample).reduce(0) { sum, sequence in
                var batch = TokenBatch()
                batch.append(sequence)
                return sum + subject.decoder.descentStep(on: batch, in: &workspace).norm
            } / Double(sample.count)
        return mean > 0 ? settings.stepShare * subject.decoder.parameterNorm / mean : 0
    }
}

/// How much likelier one step on a query's top sequences makes its completion.
public struct TailPatchResult: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: TailPatch.Settings
    public var queries: [EvaluationQuery]
    public var learningRate: Double
    public var seconds: Double
    /// One entry per way to choose the sequences, with each query's mean change over its sequences.
    public var choices: [QueryChanges]

    public var report: EvaluationReport {
        let best = choices.max { ($0.mean?.value ?? -.infinity) < ($1.mean?.value ?? -.infinity) }
        return EvaluationReport(
            title: "Tail patch",
            question:
                "How much likelier does one step of training on a query's top \(settings.count) sequences, each alone, make its "
                + "completion?",
            findings: best.map { ["Steps on the sequences of \($0.name) help most."] } ?? [],
            sections: [
                (
                    "Change of the completion's log-probability, nats",
                    [
                        .paragraph(
                            "One step of plain gradient descent in all parameters at learning rate "
                                + "\(String(format: "%.2g", learningRate)), which moves them by "
                                + "\(Figure.percent(settings.stepShare)) of their norm on average. To first order, such a step "
                                + "changes f by the inner product of gradients: this check favours identity."),
                        .table(
                            columns: ["sequences of", "mean of \(queries.count) queries"],
                            rows: choices.map { [$0.name, Figure.estimate($0.mean, 4)] }),
                        .plot(
                            "Mean change of the log-probability by one step, with its 95 % interval",
                            .bars(
                                choices.compactMap { own in own.mean.map { Plot.Bar(own.name, $0) } },
                                label: "nats; positive: likelier")),
                    ]
                )
            ],
            provenance: subject.provenance(seed: settings.seed, seconds: seconds))
    }
}
