import Corpus
import Files
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// How a subject's model is trained again on some of its corpus: from the same initial weights, with the settings that
/// `tributary train` kept with it, and with the end of each document marked in the same way.
struct RetrainingRecipe: Sendable {
    let settings: TrainingConfiguration
    /// The sequences of the corpus as they are trained on.
    let sequences: [TrainingSequence]

    /// - Throws: ``TrainingError/noRecord(path:)`` for a model that `tributary train` did not make.
    init(of subject: EvaluationSubject) throws {
        settings = try TrainingRecord(checkpoint: subject.checkpoint.folder).settings
        let end = subject.checkpoint.tokenizer.eosToken
        let length = settings.sequenceLength
        sequences = try subject.corpus.sequences(rowids: subject.rowids).map { sequence in
            let isLastChunk = sequence.piece == sequence.pieceCount - 1
            var own = TrainingSequence(tokens: sequence.tokens, loss: sequence.loss)
            // A masked sequence has its end where its template or its row has one.
            guard let end, isLastChunk, own.loss.isAll, own.count < length, own.tokens.last != end else { return own }
            own.tokens.append(end)
            return own
        }
    }

    init(settings: TrainingConfiguration, sequences: [TrainingSequence]) {
        self.settings = settings
        self.sequences = sequences
    }

    /// Trains on one worker, so that several models can train side by side and each is the same, bit for bit.
    ///
    /// - Parameters:
    ///   - seed: The seed of initial weights and order, in place of the recipe's own.
    ///   - step: Called before each training step.
    ///   - progress: Called after each training step.
    func train(
        on indices: [Int], seed: UInt64? = nil, step: () throws -> Void = {}, progress: () -> Void = {}
    ) throws -> DecoderModel {
        var settings = settings
        if let seed { settings.seed = seed }
        var trainer = try Trainer(settings, sequences: indices.map { sequences[$0] }, workers: Workers(count: 1))
        while true {
            try step()
            guard let done = try trainer.advance() else { return trainer.decoder }
            guard done.loss.isFinite else { throw TrainingError.diverged(step: done.step) }
            progress()
        }
    }

    func steps(on count: Int) -> Int {
        (count + settings.batchSequences - 1) / settings.batchSequences * settings.epochs
    }

    /// Refuses trainings that would take longer than the limit, estimated from a few steps of one.
    ///
    /// - Parameters:
    ///   - counts: How many sequences each training has.
    ///   - workers: How many models are trained at a time.
    func check(_ counts: [Int], parameters: Int, workers: Int, _ control: EvaluationControl) throws {
        guard control.limit != nil, let first = counts.max() else { return }
        struct Enough: Error {}
        let steps = 4
        var taken = 0
        var start = Date()
        do {
            _ = try train(
                on: Array(0..<first),
                step: {
                    try control.step()
                    taken += 1
                    // The first step allocates memory that the others use again.
                    if taken == 2 { start = Date() }
                    if taken == steps + 2 { throw Enough() }
                })
        } catch is Enough {}
        let seconds = Date().timeIntervalSince(start) / Double(max(taken - 2, 1))
        let all = counts.reduce(0) { $0 + self.steps(on: $1) }
        // Weights, gradients and two moments.
        let bytes = workers * 4 * parameters * MemoryLayout<Float>.stride
        try control.check(
            seconds: seconds * Double(all) / Double(min(workers, counts.count)), bytes: bytes,
            of: counts.count == 1 ? "training a model" : "training \(counts.count) models")
    }
}

/// Trains models on parts of a corpus, and measures the same queries on each.
///
/// As many models are trained at a time as there are workers. Each worker keeps a model's measurements before it begins the next.
struct RetrainedMeasurements: Sendable {
    struct Training: Sendable, Equatable {
        /// The key of its record.
        var key: String
        /// The sequences to train on.
        var indices: [Int]
        var seed: UInt64
    }

    let recipe: RetrainingRecipe
    let subject: EvaluationSubject
    let measurements: [Measurement]
    let records: RunRecords<[Double]>

    /// Each query's log-probability under each model, by the trainings' keys.
    func run(_ trainings: [Training], _ control: EvaluationControl) throws -> [String: [Double]] {
        let missing = trainings.filter { records[$0.key] == nil }
        try recipe.check(
            missing.map(\.indices.count), parameters: subject.decoder.parameterCount, workers: subject.workers.count,
            control)
        func steps(of trainings: [Training]) -> Int { trainings.reduce(0) { $0 + recipe.steps(on: $1.indices.count) } }
        let total = steps(of: trainings)
        let advance = control.counting("training", from: total - steps(of: missing), of: total)
        _ = try subject.workers.map(0..<missing.count) { _, index in
            let training = missing[index]
            let decoder = try recipe.train(
                on: training.indices, seed: training.seed, step: control.step, progress: advance)
            var workspace = DecoderWorkspace()
            try records.append(
                training.key, measurements.map { $0.logProbability(under: decoder, in: &workspace) })
        }
        return Dictionary(
            uniqueKeysWithValues: trainings.compactMap { training in
                records[training.key].map { (training.key, $0) }
            })
    }
}

extension RunIdentity {
    /// The identity of trainings by a subject's recipe, which do not depend on its weights or factors.
    init(
        trainingsFor evaluation: String, _ recipe: RetrainingRecipe, _ subject: EvaluationSubject,
        _ measurements: [Measurement], seed: UInt64, settings: [String: String]
    ) throws {
        var queries = ContentDigest()
        for measurement in measurements {
            queries.update(UInt64(measurement.completionStart))
            queries.update(UInt64(measurement.tokens.count))
            for token in measurement.tokens { queries.update(UInt64(bitPattern: Int64(token))) }
        }
        let own = ["queries": queries.hexadecimal, "recipe": try RunIdentity.text(recipe.settings)]
        self.init(
            evaluation: evaluation, corpus: subject.corpusDigest, seed: seed, settings: settings.merging(own) { $1 })
    }
}
