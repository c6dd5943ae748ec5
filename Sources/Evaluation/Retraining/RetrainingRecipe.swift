import Corpus
import Foundation
import LinearAlgebra
import Transformer

/// How a subject's model is trained anew on some of its corpus: from the same initial weights, by the settings that
/// `tributary train` kept with it, with the end of each document marked as there.
struct RetrainingRecipe: Sendable {
    let settings: TrainingConfiguration
    /// What is trained on, by place.
    let sequences: [[Int32]]

    /// - Throws: ``TrainingError/noRecord(path:)`` for a model that `tributary train` did not make.
    init(of subject: EvaluationSubject) throws {
        settings = try TrainingRecord(checkpoint: subject.checkpoint.folder).settings
        let end = subject.checkpoint.tokenizer.eosToken
        let length = settings.sequenceLength
        sequences = try subject.corpus.sequences(rowids: subject.rowids).map { sequence in
            let isLastPiece = sequence.piece == sequence.pieceCount - 1
            guard let end, isLastPiece, sequence.tokens.count < length, sequence.tokens.last != end else {
                return sequence.tokens
            }
            return sequence.tokens + [end]
        }
    }

    init(settings: TrainingConfiguration, sequences: [[Int32]]) {
        self.settings = settings
        self.sequences = sequences
    }

    /// Trains on one worker, so that several models train side by side and each comes out the same bit for bit.
    ///
    /// - Parameters:
    ///   - places: What is trained on.
    ///   - seed: Of initial weights and order, in place of the recipe's own.
    ///   - step: Called before each training step.
    ///   - progress: Told after each training step.
    func train(
        on places: [Int], seed: UInt64? = nil, step: () throws -> Void = {}, progress: () -> Void = {}
    ) throws -> DecoderModel {
        var settings = settings
        if let seed { settings.seed = seed }
        var trainer = try Trainer(settings, sequences: places.map { sequences[$0] }, workers: Workers(count: 1))
        while true {
            try step()
            guard let done = try trainer.advance() else { return trainer.decoder }
            guard done.loss.isFinite else { throw TrainingError.diverged(step: done.step) }
            progress()
        }
    }

    /// Steps of a training on so many sequences.
    func steps(on count: Int) -> Int {
        (count + settings.batchSequences - 1) / settings.batchSequences * settings.epochs
    }

    /// Refuses trainings that would take longer than they may, going by a few steps of one.
    ///
    /// - Parameters:
    ///   - counts: How many sequences each is on.
    ///   - parameters: Of the model.
    ///   - workers: So many are trained at a time.
    ///   - limit: Seconds; nil for as long as it takes.
    func check(
        _ counts: [Int], parameters: Int, workers: Workers, limit: Double?, _ control: EvaluationControl
    ) throws {
        guard let limit, let first = counts.max() else { return }
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
                    // The first step makes room that the others use again.
                    if taken == 2 { start = Date() }
                    if taken == steps + 2 { throw Enough() }
                })
        } catch is Enough {}
        let seconds = Date().timeIntervalSince(start) / Double(max(taken - 2, 1))
        let all = counts.reduce(0) { $0 + self.steps(on: $1) }
        // Weights, gradients and two moments.
        let bytes = workers.count * 4 * parameters * MemoryLayout<Float>.stride
        try EvaluationError.check(
            seconds: seconds * Double(all) / Double(min(workers.count, counts.count)), bytes: bytes, limit: limit,
            of: counts.count == 1 ? "training a model" : "training \(counts.count) models")
    }
}
