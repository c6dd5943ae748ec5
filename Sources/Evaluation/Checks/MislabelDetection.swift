import Attribution
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// Garbles some of the corpus on purpose, trains the model on it, and looks whether sequences of high self-influence are those
/// (Koh and Liang 2017, section 5.4).
public struct MislabelDetection: Sendable {
    public struct Settings: Sendable, Codable, Equatable {
        public var corruption = Corruption.shuffled
        /// Of the corpus that is garbled.
        public var share = 0.1
        public var damping: Double?
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

    /// - Throws: ``EvaluationError``, ``TrainingError``, or what reading the corpus threw.
    public func run(control: EvaluationControl = EvaluationControl()) throws -> MislabelResult {
        let start = Date()
        let recipe = try RetrainingRecipe(of: subject)
        let corpus = CorruptedCorpus(
            recipe.sequences, settings.corruption, share: settings.share, seed: settings.seed)
        let corrupted = RetrainingRecipe(settings: recipe.settings, sequences: corpus.sequences)
        let everything = Array(corpus.sequences.indices)
        let total = corrupted.steps(on: everything.count)
        try corrupted.check(
            [everything.count], parameters: subject.decoder.parameterCount, workers: Workers(count: 1), limit: limit,
            control)
        var done = 0
        let decoder = try corrupted.train(on: everything, step: control.step) {
            done += 1
            control.report("training", done, of: total)
        }
        let source = FactorFit.Source(count: corpus.sequences.count, digest: "") { Array(corpus.sequences[$0]) }
        let factors = try FactorFit(
            decoder: decoder, modelDigest: "", source: source, seed: settings.seed, workers: subject.workers
        ).run(progress: { control.report($0.stage.rawValue, $0.done, of: $0.total) }, isCancelled: control.isCancelled)
        let found = try selfInfluences(of: corpus.sequences, decoder, factors, control)
        let tokens = corpus.sequences.map { Double(max($0.count - 1, 1)) }
        let isCorrupted = Set(corpus.corrupted)
        func curve(_ name: String, _ scores: [Double]) -> MislabelResult.Curve {
            MislabelResult.Curve(name: name, scores: scores, isCorrupted: everything.map { isCorrupted.contains($0) })
        }
        return MislabelResult(
            subject: EvaluatedSubject(subject), settings: settings, corrupted: corpus.corrupted.count,
            seconds: Date().timeIntervalSince(start),
            curves: [
                curve("self-influence a token", zip(found, tokens).map { $0.influence / $1 }),
                curve("self-influence", found.map(\.influence)),
                curve("loss a token", zip(found, tokens).map { $0.loss / $1 }),
            ])
    }

    private func selfInfluences(
        of sequences: [[Int32]], _ decoder: DecoderModel, _ factors: EKFACFactors, _ control: EvaluationControl
    ) throws -> [(influence: Double, loss: Double)] {
        let chunks = stride(from: 0, to: sequences.count, by: 8).map { $0..<min($0 + 8, sequences.count) }
        let slots = (0..<subject.workers.count).map { _ in
            WorkerSlot((workspace: DecoderWorkspace(), tap: SelfInfluenceTap(factors, damping: settings.damping)))
        }
        return try subject.workers.map(0..<chunks.count) { worker, index in
            try control.step()
            return slots[worker].withState { state in
                var batch = TokenBatch()
                for tokens in sequences[chunks[index]] { batch.append(tokens) }
                let losses = decoder.run(batch, in: &state.workspace, tracked: factors.tracked, tap: &state.tap)
                return zip(state.tap.scores, batch.sequences).map { ($0, losses.sum(over: $1)) }
            }
        }.flatMap { $0 }
    }
}

/// How many of the garbled sequences one finds who reads those of highest self-influence first.
public struct MislabelResult: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: MislabelDetection.Settings
    public var corrupted: Int
    public var seconds: Double
    public var curves: [Curve]

    public struct Curve: Sendable, Codable, Equatable {
        public var name: String
        /// The share of garbled sequences among the first 0, 1, 2 ... 100 % of all.
        public var found: [Double]
        /// The probability that a garbled sequence ranks before one that is not.
        public var areaUnderCurve: Double

        enum CodingKeys: String, CodingKey {
            case name, found
            case areaUnderCurve = "area_under_curve"
        }

        init(name: String, scores: [Double], isCorrupted: [Bool]) {
            self.name = name
            let order = TopSequences(of: scores, count: scores.count).places
            let total = isCorrupted.count { $0 }
            var seen = [0]
            for place in order { seen.append((seen.last ?? 0) + (isCorrupted[place] ? 1 : 0)) }
            found = (0...100).map { percent in
                Double(seen[Int((Double(percent) / 100 * Double(order.count)).rounded())]) / Double(max(total, 1))
            }
            let ranks = Correlation.ranks(scores)
            let rankSum = zip(ranks, isCorrupted).reduce(0) { $0 + ($1.1 ? $1.0 : 0) }
            let (bad, good) = (Double(total), Double(isCorrupted.count - total))
            areaUnderCurve = bad > 0 && good > 0 ? (rankSum - bad * (bad + 1) / 2) / (bad * good) : 0.5
        }
    }

    public var report: EvaluationReport {
        let first = curves.first
        return EvaluationReport(
            title: "Finding garbled sequences",
            question: "Are sequences that were garbled on purpose those of highest self-influence?",
            findings: first.map { curve in
                [
                    "Among the first 10 % by \(curve.name) are \(Figure.percent(curve.found[10], 0)) of the garbled; among the first "
                        + "30 % \(Figure.percent(curve.found[30], 0)). By chance these would be 10 % and 30 %."
                ]
            } ?? [],
            sections: [
                .init(
                    "Share of garbled sequences found",
                    [
                        .paragraph(
                            "\(corrupted) of \(subject.sequences) sequences are garbled: the second half "
                                + (settings.corruption == .shuffled
                                    ? "has its tokens in random order" : "is that of another")
                                + ". The model was trained on them as they are, and factors fitted to it."),
                        .table(
                            ReportTable(
                                columns: ["ranked by", "in 5 %", "in 10 %", "in 20 %", "in 30 %", "area under curve"],
                                rows: curves.map { curve in
                                    [curve.name] + [5, 10, 20, 30].map { Figure.percent(curve.found[$0], 0) }
                                        + [Figure.number(curve.areaUnderCurve)]
                                })),
                        .plot(
                            Plot(
                                "Share of the garbled found against share of the corpus inspected",
                                .lines(
                                    curves.map { curve in
                                        Plot.Series(
                                            curve.name, curve.found.enumerated().map { (Double($0) / 100, $1) })
                                    }, x: Plot.Axis("share inspected"), y: Plot.Axis("share found")))),
                    ])
            ],
            provenance: subject.facts + [
                .init("Seed", "\(settings.seed)"), .init("This run took", Figure.duration(seconds)),
            ])
    }
}
