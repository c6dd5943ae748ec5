import Attribution
import Curvature
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// Tests some findings of Grosse et al. 2023 on a model, by EK-FAC's scores alone: how concentrated influence is
/// (section 5.2), in which layers it lies (5.3.2), whether it depends on the order of words (5.3.3), whether dialogue influences
/// dialogue, and how abstract it is (5.3.1).
public struct InfluenceFindings: EvaluationStudy {
    public static let name = "findings"

    public struct Settings: Sendable, Codable, Equatable {
        /// How many top sequences have their influence split by layer.
        public var top = 50
        /// How many top sequences are compared with the query's words.
        public var abstractionTop = 20
        /// How many samples the fit of a tail is judged by.
        public var fitSamples = 500
        public var seed: UInt64 = 0

        public init() {}
    }

    let subject: EvaluationSubject
    let questions: FindingsQuestions
    let settings: Settings

    public init(_ subject: EvaluationSubject, _ questions: FindingsQuestions, settings: Settings = Settings()) {
        self.subject = subject
        self.questions = questions
        self.settings = settings
    }

    public func run(_ control: EvaluationControl) throws -> FindingsResult {
        let start = Date()
        let measurements = try Measurement.all(questions.kinds.map(\.query), of: subject.checkpoint)
        let vectors = try preconditioned(measurements)
        let scores = try scores(vectors, control)
        var workspace = DecoderWorkspace()
        let fits = try tails(of: scores, control)
        let queries = measurements.enumerated().map { index, measurement in
            FindingsResult.Query(
                kind: questions.kinds[index].kind, query: measurement.query,
                logProbability: measurement.logProbability(under: subject.decoder, in: &workspace),
                concentration: InfluenceConcentration(of: scores[index]), tail: fits[index].tail,
                goodnessOfFit: fits[index].goodness)
        }
        return FindingsResult(
            subject: EvaluatedSubject(subject), settings: settings, queries: queries,
            layers: try layers(of: questions.kinds.map(\.kind), vectors, scores, control),
            wordOrder: try given(questions.wordOrder, control), register: try given(questions.register, control),
            scale: [try abstraction(of: measurements, scores)], seconds: Date().timeIntervalSince(start))
    }

    /// How abstract influence is, the only part that is compared between models: ``FindingsResult/scale`` has one entry per model.
    public func abstraction(_ control: EvaluationControl) throws -> InfluenceAbstraction {
        let measurements = try Measurement.all(questions.kinds.map(\.query), of: subject.checkpoint)
        return try abstraction(of: measurements, try scores(try preconditioned(measurements), control))
    }

    private func preconditioned(_ measurements: [Measurement]) throws -> [ParameterVector] {
        try KroneckerInverse(corrected: subject.factors).solve(
            measurements.map { $0.gradient(of: subject.decoder, tracked: subject.tracked) }
        ).vectors
    }

    private func scores(_ vectors: [ParameterVector], _ control: EvaluationControl) throws -> [[Double]] {
        let total = subject.rowids.count
        let solver = EstimatorSolver(subject, EstimatorSettings())
        if control.limit != nil {
            try control.check(
                seconds: try solver.expectedSweepSeconds(with: vectors, step: control.step),
                bytes: solver.bytes(of: vectors.count),
                of: "scoring \(total) sequences for \(vectors.count) queries")
        }
        return try solver.products(
            of: vectors, with: Array(subject.sequences), step: control.step
        ) { control.report("scores", $0, of: total) }
    }

    private func tails(
        of scores: [[Double]], _ control: EvaluationControl
    ) throws -> [(tail: PowerLawTail?, goodness: Double?)] {
        let advance = control.counting("tails", of: scores.count)
        return try subject.workers.map(0..<scores.count) { _, index in
            try control.step()
            let tail = PowerLawTail(scores[index])
            let goodness = tail?.goodnessOfFit(of: scores[index], samples: settings.fitSamples, seed: settings.seed)
            advance()
            return (tail, goodness)
        }
    }

    private func abstraction(of measurements: [Measurement], _ scores: [[Double]]) throws -> InfluenceAbstraction {
        let tops = scores.map { TopSequences(of: $0, count: settings.abstractionTop).indices }
        return InfluenceAbstraction(
            subject: EvaluatedSubject(subject),
            queries: try zip(measurements, tops).map { measurement, top in
                (
                    tokens: measurement.tokens,
                    top: try subject.corpus.sequences(rowids: top.map { subject.rowids[$0] }).map {
                        (id: $0.id, tokens: $0.tokens)
                    }
                )
            }, seed: settings.seed)
    }

    // MARK: Layers

    /// How the positive influence of each query's top sequences is distributed over the blocks, by kind of query.
    private func layers(
        of kinds: [String], _ vectors: [ParameterVector], _ scores: [[Double]], _ control: EvaluationControl
    ) throws -> [InfluenceByBlock] {
        let corpus = subject.corpus
        let blocks = subject.tracked.layers.map { BlockNumber.of($0.name) ?? 0 }
        let sweep = CandidateSweep(decoder: subject.decoder, tracked: subject.tracked, workers: subject.workers) {
            try control.step()
            return try corpus.trainingSequences(rowids: $0)
        }
        var shares: [(kind: String, shares: [Double])] = []
        for (query, vector) in vectors.enumerated() {
            control.report("layers", query, of: vectors.count)
            let top = TopSequences(of: scores[query], count: settings.top).indices.filter { scores[query][$0] > 0 }
            let found = try sweep.scores(
                of: top.map { subject.rowids[$0] },
                queries: [PreconditionedQuery(layers: vector.layers.map { .full($0) })], breakdown: .layers)
            var sums = [Double](repeating: 0, count: (blocks.max() ?? 0) + 1)
            for score in found {
                for (layer, value) in (score[0].layers ?? []).enumerated() { sums[blocks[layer]] += max(value, 0) }
            }
            let total = sums.reduce(0, +)
            if total > 0 { shares.append((kinds[query], sums.map { $0 / total })) }
        }
        return InfluenceByBlock.byKind(shares, seed: settings.seed)
    }

    // MARK: Ad-hoc texts

    /// The scores of texts as if they were training sequences.
    private func given(
        _ questions: [FindingsQuestions.GivenTextQuestion], _ control: EvaluationControl
    ) throws -> GivenTextScores {
        guard !questions.isEmpty else { return GivenTextScores(questions: [], seed: settings.seed) }
        let measurements = try Measurement.all(questions.map(\.query), of: subject.checkpoint)
        let vectors = try preconditioned(measurements)
        let found = try questions.enumerated().map { index, question in
            try control.step()
            let tokens = try question.texts.map { try self.tokens(of: $0.text) }
            let sweep = CandidateSweep(
                decoder: subject.decoder, tracked: subject.tracked, workers: Workers(count: 1)
            ) { $0.map { TrainingSequence(tokens: tokens[Int($0)]) } }
            let scores = try sweep.scores(
                of: tokens.indices.map(Int64.init),
                queries: [PreconditionedQuery(layers: vectors[index].layers.map { .full($0) })])
            return GivenTextScores.Question(
                query: question.query,
                texts: zip(question.texts, scores).map { .init(kind: $0.kind, text: $0.text, score: $1[0].total) })
        }
        return GivenTextScores(questions: found, seed: settings.seed)
    }

    private func tokens(of text: String) throws -> [Int32] {
        let tokenization = subject.corpus.tokenization
        let tokens = try tokenization.encode(text)
        let capacity = tokenization.identity.pieceLength
        guard tokens.count > 1, tokens.count <= capacity else {
            throw EvaluationError.unusableText(text: text, tokens: tokens.count, capacity: capacity)
        }
        return tokenization.prefix + tokens
    }
}
