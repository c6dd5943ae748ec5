import Attribution
import Curvature
import LinearAlgebra
import Sequences
import Transformer

// Sequences in which every token carries loss, given by their tokens alone.

extension TrainingSequence: ExpressibleByArrayLiteral {
    public init(arrayLiteral tokens: Int32...) { self.init(tokens: tokens) }
}

extension FactorFit.Source {
    public init(count: Int, digest: String, tokens: @escaping @Sendable (Range<Int>) throws -> [[Int32]]) {
        self.init(count: count, digest: digest, sequences: { try tokens($0).map { TrainingSequence(tokens: $0) } })
    }
}

extension CandidateSweep {
    public init(
        decoder: DecoderModel, tracked: TrackedLayers, workers: Workers = Workers(), batchTokens: Int? = nil,
        tally: SweepTally = SweepTally(), tokens: @escaping @Sendable ([Int64]) throws -> [[Int32]]
    ) {
        self.init(
            decoder: decoder, tracked: tracked, workers: workers, batchTokens: batchTokens, tally: tally,
            sequences: { try tokens($0).map { TrainingSequence(tokens: $0) } })
    }
}
