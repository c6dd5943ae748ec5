import Sequences

@testable import Attribution

/// A checkpoint of a sweep in which some sequences had a given score.
struct ChosenScores: SweepCheckpoint {
    private let keys: Set<ContentKey>
    private let total: Double

    init(of sequences: [[Int32]], total: Double) {
        keys = Set(sequences.map { ContentKey(sequence: TrainingSequence(tokens: $0)) })
        self.total = total
    }

    func scores(of sequence: ContentKey, for queries: [ContentKey]) -> [SequenceScore]? {
        guard keys.contains(sequence) else { return nil }
        return queries.map { _ in SequenceScore(total: total, tokenConcentration: nil, layers: nil, tokens: nil) }
    }

    func keep(_ rows: [ScoredSequence], for queries: [ContentKey]) {}
}
