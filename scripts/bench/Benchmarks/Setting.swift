import Attribution
import Curvature
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// The setting of a measurement: a model, its factors, and the same tokens that the other program gets.
struct Setting {
    /// The setting in the form that the calling script writes.
    struct Input: Decodable {
        let model: String
        /// The folder with the factors; if it does not exist, factors are fitted and written there.
        let factors: String
        let sequences: [[Int32]]
        let queries: [Query]
        let rank: Int
        let workers: Int
        let batchTokens: Int?

        var trainingSequences: [TrainingSequence] { sequences.map { TrainingSequence(tokens: $0) } }

        struct Query: Decodable {
            let tokens: [Int32]
            let completionStart: Int

            enum CodingKeys: String, CodingKey {
                case tokens
                case completionStart = "completion_start"
            }
        }

        enum CodingKeys: String, CodingKey {
            case model, factors, sequences, queries, rank, workers
            case batchTokens = "batch_tokens"
        }
    }

    let input: Input
    let decoder: DecoderModel
    let tracked: TrackedLayers
    let factors: EKFACFactors

    init(_ input: Input) throws {
        self.input = input
        decoder = try Checkpoint.loadDecoder(folder: input.model)
        tracked = TrackedLayers(of: decoder)
        if FactorFile.exists(at: input.factors) {
            factors = try FactorFile.load(folder: input.factors, for: decoder, modelDigest: nil)
        } else {
            factors = try Self.fit(decoder, input, workers: Workers(count: input.workers)).factors
            try FactorFile.write(factors, to: input.factors)
        }
    }

    /// Fits factors, and returns the seconds of each stage.
    static func fit(
        _ decoder: DecoderModel, _ input: Input, workers: Workers
    ) throws -> (factors: EKFACFactors, seconds: [String: Double]) {
        let sequences = input.trainingSequences
        let source = FactorFit.Source(count: sequences.count, digest: "benchmark") { Array(sequences[$0]) }
        let fit = FactorFit(decoder: decoder, modelDigest: "benchmark", source: source, workers: workers)
        var starts: [(stage: FactorFit.Stage, time: ContinuousClock.Instant)] = []
        let factors = try fit.run(progress: { progress in
            if starts.last?.stage != progress.stage { starts.append((progress.stage, .now)) }
        })
        let ends = starts.dropFirst().map(\.time) + [.now]
        let seconds = zip(starts, ends).map { ($0.stage.rawValue, ($1 - $0.time) / .seconds(1)) }
        return (factors, Dictionary(uniqueKeysWithValues: seconds))
    }
}
