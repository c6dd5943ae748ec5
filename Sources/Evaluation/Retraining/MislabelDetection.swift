import Curvature
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// Corrupts some of the corpus, trains the model on it, and checks whether the sequences with high self-influence are the corrupted
/// ones (Koh and Liang 2017, section 5.4).
public struct MislabelDetection: EvaluationStudy {
    public static let name = "mislabel"

    public struct Settings: Sendable, Codable, Equatable {
        public var corruption = Corruption.shuffled
        /// The share of the corpus that is corrupted.
        public var share = 0.1
        public var damping: Double?
        public var seed: UInt64 = 0

        public init() {}
    }

    let subject: EvaluationSubject
    let settings: Settings

    public init(_ subject: EvaluationSubject, settings: Settings = Settings()) {
        self.subject = subject
        self.settings = settings
    }

    public func run(_ control: EvaluationControl) throws -> MislabelResult {
        let start = Date()
        let recipe = try RetrainingRecipe(of: subject)
        let corpus = CorruptedCorpus(
            recipe.sequences, settings.corruption, share: settings.share, seed: settings.seed)
        let corrupted = RetrainingRecipe(settings: recipe.settings, sequences: corpus.sequences)
        let everything = Array(corpus.sequences.indices)
        try corrupted.check([everything.count], parameters: subject.decoder.parameterCount, workers: 1, control)
        let decoder = try corrupted.train(
            on: everything, step: control.step,
            progress: control.counting("training", of: corrupted.steps(on: everything.count)))
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
                curve("self-influence per token", zip(found, tokens).map { $0.influence / $1 }),
                curve("self-influence", found.map(\.influence)),
                curve("loss per token", zip(found, tokens).map { $0.loss / $1 }),
            ])
    }

    private func selfInfluences(
        of sequences: [TrainingSequence], _ decoder: DecoderModel, _ factors: EKFACFactors, _ control: EvaluationControl
    ) throws -> [(influence: Double, loss: Double)] {
        let chunks = stride(from: 0, to: sequences.count, by: 8).map { $0..<min($0 + 8, sequences.count) }
        let slots = (0..<subject.workers.count).map { _ in
            WorkerSlot((workspace: DecoderWorkspace(), tap: SelfInfluenceTap(factors, damping: settings.damping)))
        }
        return try subject.workers.map(0..<chunks.count) { worker, index in
            try control.step()
            return slots[worker].withState { state in
                var batch = TokenBatch()
                for sequence in sequences[chunks[index]] { batch.append(sequence) }
                let losses = decoder.run(batch, in: &state.workspace, tracked: factors.tracked, tap: &state.tap)
                return zip(state.tap.scores, batch.sequences).map { ($0, losses.sum(over: $1)) }
            }
        }.flatMap { $0 }
    }
}

/// How many of the corrupted sequences a reader finds who reads those of the highest self-influence first.
public struct MislabelResult: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: MislabelDetection.Settings
    public var corrupted: Int
    public var seconds: Double
    public var curves: [Curve]

    public struct Curve: Sendable, Codable, Equatable {
        public var name: String
        /// The share of the corrupted sequences that is among the first 0, 1, 2 ... 100 % of all sequences.
        public var found: [Double]
        /// The probability that a corrupted sequence ranks before one that is not corrupted.
        public var areaUnderCurve: Double

        init(name: String, scores: [Double], isCorrupted: [Bool]) {
            self.name = name
            let order = TopSequences(of: scores, count: scores.count).indices
            let total = isCorrupted.count { $0 }
            var seen = [0]
            for index in order { seen.append((seen.last ?? 0) + (isCorrupted[index] ? 1 : 0)) }
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
            title: "Detection of corrupted sequences",
            question: "Do sequences that were corrupted on purpose have the highest self-influence?",
            findings: first.map { curve in
                [
                    "The first 10 % by \(curve.name) contain \(Figure.percent(curve.found[10], 0)) of the corrupted sequences, and the "
                        + "first 30 % contain \(Figure.percent(curve.found[30], 0)). By chance these would be 10 % and 30 %."
                ]
            } ?? [],
            sections: [
                (
                    "Share of corrupted sequences found",
                    [
                        .paragraph(
                            "\(corrupted) of \(subject.sequences) sequences are corrupted: "
                                + (settings.corruption == .shuffled
                                    ? "the tokens of their second half are in random order"
                                    : "their second half is another sequence's")
                                + ". The model was trained on this corpus, and its factors were fitted on it."),
                        .table(
                            columns: ["ranked by", "in 5 %", "in 10 %", "in 20 %", "in 30 %", "area under curve"],
                            rows: curves.map { curve in
                                [curve.name] + [5, 10, 20, 30].map { Figure.percent(curve.found[$0], 0) }
                                    + [Figure.number(curve.areaUnderCurve)]
                            }),
                        .plot(
                            "Share of the corrupted sequences found against share of the corpus inspected",
                            .lines(
                                curves.map { curve in
                                    Plot.Series(
                                        curve.name, curve.found.enumerated().map { (Double($0) / 100, $1) })
                                }, x: Plot.Axis("share inspected"), y: Plot.Axis("share found"))),
                    ]
                )
            ],
            provenance: subject.provenance(seed: settings.seed, seconds: seconds))
    }
}

/// How sequences are corrupted on purpose.
public enum Corruption: String, Sendable, Codable, CaseIterable {
    /// The tokens of a sequence's second half are put in random order.
    case shuffled
    /// A sequence's second half is replaced by another sequence's.
    case exchanged
}

/// A corpus in which the second half of some sequences was corrupted on purpose.
struct CorruptedCorpus: Sendable, Equatable {
    let sequences: [TrainingSequence]
    /// The indices of the corrupted sequences, in ascending order.
    let corrupted: [Int]

    /// - Parameter share: The share of all sequences; sequences that are too short are not corrupted.
    init(_ sequences: [TrainingSequence], _ corruption: Corruption, share: Double, seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        let eligible = sequences.indices.filter { sequences[$0].count >= 8 }
        let count = min(max(Int((share * Double(sequences.count)).rounded()), 2), eligible.count)
        let chosen = Array(eligible.shuffled(using: &generator).prefix(count))
        var result = sequences
        for (number, index) in chosen.enumerated() {
            let own = sequences[index].tokens
            let end =
                switch corruption {
                case .shuffled: Self.secondHalf(of: own).shuffled(using: &generator)
                case .exchanged: Self.secondHalf(of: sequences[chosen[(number + 1) % chosen.count]].tokens)
                }
            result[index].tokens = own.prefix(own.count / 2) + end
        }
        self.sequences = result
        corrupted = chosen.sorted()
    }

    private static func secondHalf(of sequence: [Int32]) -> [Int32] {
        Array(sequence.suffix(sequence.count - sequence.count / 2))
    }
}

/// Finds each sequence's influence on its own loss, `gᵀ (G + λI)⁻¹ g` under EK-FAC factors. It is high for sequences that the other
/// sequences of the corpus do not help to predict, such as mislabelled or garbled ones (Koh and Liang 2017, section 5.4).
struct SelfInfluenceTap: GradientTap, Sendable {
    /// In nats, one per sequence of the last micro-batch.
    private(set) var scores: [Double] = []

    private let factors: EKFACFactors
    private let damping: [Double]
    private var sums: [Double] = []
    private var rotatedInputs = Matrix()
    private var rotatedInputsOwner: Int?
    private var rotatedGradients = Matrix()
    private var gradient = Matrix()
    private var quotient = Matrix()

    /// - Parameter damping: λ in place of the layers' own.
    init(_ factors: EKFACFactors, damping: Double? = nil) {
        self.factors = factors
        self.damping = factors.damping(damping)
    }

    mutating func record(_ pass: LayerPass) {
        let layer = factors.layers[pass.layer.index]
        if sums.isEmpty { sums = [Double](repeating: 0, count: pass.batch.sequences.count) }
        guard layer.hasCurvature else { return }
        if rotatedInputsOwner != pass.layer.inputOwner {
            rotatedInputs.formProduct(pass.inputs, layer.activationVectors)  // tokens × in
            rotatedInputsOwner = pass.layer.inputOwner
        }
        rotatedGradients.formProduct(pass.outputGradients, layer.gradientVectors)  // tokens × out
        for (index, rows) in pass.sequences.enumerated() where !rows.isEmpty {
            gradient.formProduct(rotatedGradients[rows: rows].transposed, rotatedInputs[rows: rows])  // out × in
            quotient.formDampedQuotient(gradient, layer.eigenvalues, damping: Float(damping[pass.layer.index]))
            sums[index] += gradient.dot(quotient)
        }
    }

    mutating func finish(_ batch: TokenBatch) {
        rotatedInputsOwner = nil
        scores = sums
        sums = []
    }
}
