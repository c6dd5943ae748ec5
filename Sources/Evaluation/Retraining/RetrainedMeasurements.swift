import Files
import LinearAlgebra
import Synchronization
import Transformer

/// Trains a model again and again on parts of its corpus, and measures the same queries on each.
///
/// As many models at once as there are workers. What was measured on one is kept before the next is begun.
struct RetrainedMeasurements: Sendable {
    /// One model to train.
    struct Training: Sendable, Equatable {
        /// Names it among the records.
        var key: String
        /// What it is trained on.
        var places: [Int]
        var seed: UInt64
    }

    let recipe: RetrainingRecipe
    /// Of each model.
    let parameters: Int
    let measurements: [Measurement]
    let workers: Workers
    let records: RunRecords<[Double]>

    /// Each query's log-probability under each model, by the trainings' keys.
    ///
    /// - Parameter limit: Seconds that all may take, going by a few training steps; nil for as long as it takes.
    func run(
        _ trainings: [Training], limit: Double?, control: EvaluationControl
    ) throws -> [String: [Double]] {
        let missing = trainings.filter { records[$0.key] == nil }
        try recipe.check(
            missing.map(\.places.count), parameters: parameters, workers: workers, limit: limit, control)
        let total = trainings.reduce(0) { $0 + recipe.steps(on: $1.places.count) }
        let done = Mutex(total - missing.reduce(0) { $0 + recipe.steps(on: $1.places.count) })
        _ = try workers.map(0..<missing.count) { _, index in
            let training = missing[index]
            let decoder = try recipe.train(on: training.places, seed: training.seed, step: control.step) {
                control.report(
                    "training",
                    done.withLock { done in
                        done += 1
                        return done
                    }, of: total)
            }
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
    /// The identity of trainings of a subject's recipe: they do not depend on its weights or factors.
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
