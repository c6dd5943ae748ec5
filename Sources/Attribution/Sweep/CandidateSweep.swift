import LinearAlgebra
import Synchronization
import Transformer

/// One pass over candidate sequences, which scores each against every query of a batch.
///
/// Each worker takes the next few sequences, packs them into a micro-batch and runs it forward and backward with a workspace of
/// its own: four FLOPs a parameter and token. A score does not depend on which sequences share its micro-batch.
public struct CandidateSweep: Sendable {
    let decoder: DecoderModel
    let tracked: TrackedLayers
    let workers: Workers
    /// Tokens of a micro-batch, at least one sequence.
    let batchTokens: Int
    let tally: SweepTally
    /// The tokens of sequences, in the order asked for.
    let tokens: @Sendable ([Int64]) throws -> [[Int32]]

    /// Sequences that a worker takes at a time.
    private static let chunk = 32

    public init(
        decoder: DecoderModel, tracked: TrackedLayers, workers: Workers = Workers(), batchTokens: Int = 1_024,
        tally: SweepTally = SweepTally(), tokens: @escaping @Sendable ([Int64]) throws -> [[Int32]]
    ) {
        self.decoder = decoder
        self.tracked = tracked
        self.workers = workers
        self.batchTokens = batchTokens
        self.tally = tally
        self.tokens = tokens
    }

    /// What is wanted beside the scores.
    public struct Breakdown: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let layers = Breakdown(rawValue: 1)
        public static let tokens = Breakdown(rawValue: 2)
    }

    /// The influence of each candidate on each query's completion.
    ///
    /// - Parameters:
    ///   - candidates: Sequences to score; order is kept in the result.
    ///   - queries: Preconditioned gradients, all of this model and one set of factors.
    ///   - progress: Told how many candidates are done, from any thread.
    ///   - isCancelled: Asked before each micro-batch.
    /// - Returns: For each candidate, one score a query, in nats and not divided by the number of training sequences.
    /// - Throws: ``QueryError/cancelled``, or what reading the tokens threw.
    public func scores(
        of candidates: [Int64], queries: [PreconditionedQuery], breakdown: Breakdown = [],
        progress: @Sendable (_ done: Int) -> Void = { _ in }, isCancelled: @Sendable () -> Bool = { false }
    ) throws -> [[SequenceScore]] {
        let arranged = ScoringQueries(queries)
        let done = Atomic<Int>(0)
        let slots = (0..<workers.count).map { _ in
            WorkerSlot(
                (
                    workspace: DecoderWorkspace(),
                    tap: ScoringTap(
                        queries: arranged, tracked: tracked, wantsLayers: breakdown.contains(.layers),
                        wantsTokens: breakdown.contains(.tokens))
                ))
        }
        let chunks = stride(from: 0, to: candidates.count, by: Self.chunk).map {
            $0..<min($0 + Self.chunk, candidates.count)
        }
        let scored = try workers.map(0..<chunks.count) { worker, index in
            try slots[worker].withState { state in
                var scores: [[SequenceScore]] = []
                for batch in microBatches(of: try tokens(Array(candidates[chunks[index]]))) {
                    if isCancelled() { throw QueryError.cancelled }
                    decoder.run(batch, in: &state.workspace, tracked: tracked, tap: &state.tap)
                    scores += state.tap.scores
                    tally.add(sequences: batch.sequences.count, tokens: batch.tokens.count)
                    progress(done.add(batch.sequences.count, ordering: .relaxed).newValue)
                }
                return scores
            }
        }
        return Array(scored.joined())
    }

    private func microBatches(of sequences: [[Int32]]) -> [TokenBatch] {
        var batches: [TokenBatch] = []
        var batch = TokenBatch()
        for sequence in sequences {
            if !batch.sequences.isEmpty, batch.tokens.count + sequence.count > batchTokens {
                batches.append(batch)
                batch = TokenBatch()
            }
            batch.append(sequence)
        }
        if !batch.sequences.isEmpty { batches.append(batch) }
        return batches
    }
}
