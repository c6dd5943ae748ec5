import LinearAlgebra
import Synchronization
import Transformer

/// One pass over candidate sequences, which scores each against every query of a batch.
///
/// Each worker takes the next few sequences, packs them into a micro-batch and runs it forward and backward with a workspace of
/// its own: four FLOPs a parameter and token. Scores of one candidate do not depend on the others beyond rounding.
public struct CandidateSweep: Sendable {
    let decoder: DecoderModel
    let tracked: TrackedLayers
    let workers: Workers
    /// Tokens of a micro-batch, at least one sequence.
    let batchTokens: Int
    let tally: SweepTally
    /// The tokens of sequences, in the order asked for.
    let tokens: @Sendable ([Int64]) throws -> [[Int32]]

    /// The candidates that a worker takes at a time: the fewer the fewer are left, so that all workers end at about the same time. They go
    /// by the number of candidates alone, so that the same share a micro-batch however many workers there are.
    static func chunks(of candidates: Int) -> [Range<Int>] {
        var chunks: [Range<Int>] = []
        var start = 0
        while start < candidates {
            // Halves of the most, so that chunks fill micro-batches as the largest do.
            var size = 32
            while size > 4, size > (candidates - start) / 6 { size /= 2 }
            let end = min(start + size, candidates)
            chunks.append(start..<end)
            start = end
        }
        return chunks
    }

    public init(
        decoder: DecoderModel, tracked: TrackedLayers, workers: Workers = Workers(), batchTokens: Int? = nil,
        tally: SweepTally = SweepTally(), tokens: @escaping @Sendable ([Int64]) throws -> [[Int32]]
    ) {
        self.decoder = decoder
        self.tracked = tracked
        self.workers = workers
        self.batchTokens = batchTokens ?? decoder.microBatchTokens
        self.tally = tally
        self.tokens = tokens
    }

    /// What is wanted beside the scores.
    public struct Breakdown: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let layers = Breakdown(rawValue: 1)
        public static let tokens = Breakdown(rawValue: 2)
        /// Whether scores are likely artefacts: ``SequenceScore/tokenConcentration``.
        public static let concentration = Breakdown(rawValue: 4)
    }

    /// The influence of each candidate on each query's completion.
    ///
    /// A score is found by products of the same shapes whenever its candidate shares a micro-batch with the same others, and
    /// is then the same to the last bit. Those are the same when a sweep is taken up from a checkpoint. In other company
    /// scores differ by rounding: of the largest by less than 1e-6 with AVX-512, by less than 2e-6 with AVX2.
    ///
    /// - Parameters:
    ///   - candidates: Sequences to score; order is kept in the result.
    ///   - queries: Preconditioned gradients, all of this model and one set of factors.
    /// - Returns: For each candidate, one score a query, in nats and not divided by the number of training sequences. Pairs that are not
    ///   wanted are not scored: ``SequenceScore/isScored``. On a candidate on which the model overflows, scores are not finite.
    /// - Throws: ``QueryError/cancelled`` at the next micro-batch after all queries are cancelled, or what reading the tokens
    ///   threw.
    public func scores(
        of candidates: [Int64], queries: [PreconditionedQuery], breakdown: Breakdown = [],
        control: SweepControl = SweepControl()
    ) throws -> [[SequenceScore]] {
        let form = try scoringForm(of: candidates, breakdown: breakdown)
        let interest = SweepInterest(
            queries: queries, candidateCount: candidates.count, isInHalfPrecision: decoder.isInHalfPrecision,
            control: control,
            form: form)
        let wanted = control.wanted.flatMap { WantedPairs($0, of: candidates.count) }
        let done = Atomic<Int>(0)
        let slots = (0..<workers.count).map { _ in WorkerSlot(Worker(tracked: tracked)) }
        let chunks = Self.chunks(of: candidates.count)
        let scored = try workers.map(0..<chunks.count) { worker, index in
            try slots[worker].withState { state in
                var chunk = Chunk(
                    start: chunks[index].lowerBound, tokens: try tokens(Array(candidates[chunks[index]])),
                    queries: queries.count, wanted: wanted, control: control)
                while !chunk.isDone {
                    control.makeRoom()
                    let current = try interest.current()
                    state.prepare(for: current, breakdown: breakdown)
                    if let batch = chunk.next(upTo: batchTokens, wantedBy: current) {
                        state.tap.wanted = chunk.wanted(by: current)
                        decoder.run(batch, in: &state.workspace, tracked: tracked, tap: &state.tap)
                        chunk.take(state.tap.scores, of: current.queries, control: control)
                        tally.add(sequences: batch.sequences.count, tokens: batch.tokens.count)
                    }
                    control.progress(done.add(chunk.takeProgress(), ordering: .relaxed).newValue)
                }
                return chunk.scores
            }
        }
        return Array(scored.joined())
    }

    /// Sequences by whose length the forms are compared.
    private static let sampled = 32

    /// Chooses the cheapest form for some queries. The scores of tokens are found in the token form alone.
    private func scoringForm(
        of candidates: [Int64], breakdown: Breakdown
    ) throws -> @Sendable ([PreconditionedQuery], _ wantedShare: Double) -> ScoringForm {
        guard breakdown.isDisjoint(with: [.tokens, .concentration]) else { return { _, _ in .tokens } }
        let sample = try tokens(Array(candidates.prefix(Self.sampled)))
        let mean = Double(sample.reduce(0) { $0 + $1.count }) / Double(max(sample.count, 1))
        return { [tracked] queries, share in
            ScoringCost(queries, tracked: tracked, tokens: mean, wantedShare: share).cheapest
        }
    }

    /// What a worker has from micro-batch to micro-batch.
    private struct Worker: Sendable {
        var workspace = DecoderWorkspace()
        var tap: ScoringTap
        private var generation: Int?

        init(tracked: TrackedLayers) {
            tap = ScoringTap(queries: ScoringQueries([]), tracked: tracked)
        }

        mutating func prepare(for current: SweepInterest.Current, breakdown: Breakdown) {
            guard generation != current.generation else { return }
            tap = ScoringTap(
                queries: current.arranged, tracked: tap.tracked, wantsLayers: breakdown.contains(.layers),
                wantsTokens: breakdown.contains(.tokens))
            generation = current.generation
        }
    }
}

/// A few sequences that a worker has taken, and how far it is with them.
private struct Chunk {
    /// One score a query of each sequence; none where they were passed over.
    private(set) var scores: [[SequenceScore]]

    private let start: Int
    private let tokens: [[Int32]]
    private let keys: [ContentKey]
    private var isScored: [Bool]
    private var position = 0
    private var reported = 0
    /// The sequences of the micro-batch under way.
    private var members: [Int] = []

    /// - Parameters:
    ///   - start: The place of the first sequence among all candidates.
    ///   - wanted: Which queries want which candidates, before any was cancelled.
    init(start: Int, tokens: [[Int32]], queries: Int, wanted: WantedPairs?, control: SweepControl) {
        self.start = start
        self.tokens = tokens
        let none = [SequenceScore](repeating: .unscored, count: queries)
        guard let checkpoint = control.checkpoint else {
            keys = []
            isScored = [Bool](repeating: false, count: tokens.count)
            scores = [[SequenceScore]](repeating: none, count: tokens.count)
            return
        }
        keys = tokens.map(ContentKey.init(sequence:))
        let kept = keys.enumerated().map { place, key -> [SequenceScore]? in
            guard let scores = checkpoint.store.scores(of: key, for: checkpoint.queries) else { return nil }
            // In the company of an earlier batch a query may not have wanted what it wants now.
            let isComplete = scores.indices.allSatisfy {
                scores[$0].isScored || wanted?[start + place].contains($0) == false
            }
            return isComplete ? scores : nil
        }
        isScored = kept.map { $0 != nil }
        scores = kept.map { $0 ?? none }
    }

    var isDone: Bool { position == tokens.count && reported == tokens.count }

    /// Packs the next sequences that are wanted and not yet scored.
    ///
    /// - Returns: `nil` if none is left.
    mutating func next(upTo limit: Int, wantedBy current: SweepInterest.Current) -> TokenBatch? {
        var batch = TokenBatch()
        members = []
        while position < tokens.count {
            if !isScored[position], current.wants(start + position) {
                let sequence = tokens[position]
                if !batch.sequences.isEmpty, batch.tokens.count + sequence.count > limit { break }
                batch.append(sequence)
                members.append(position)
            }
            position += 1
        }
        return members.isEmpty ? nil : batch
    }

    /// For each sequence of the micro-batch the queries that want it; `nil` if all do.
    func wanted(by current: SweepInterest.Current) -> [[Int]]? {
        current.pairs.map { pairs in members.map { pairs[start + $0] } }
    }

    /// Takes the scores of the micro-batch.
    ///
    /// - Parameter queries: Which queries they are of.
    mutating func take(_ found: [[SequenceScore]], of queries: [Int], control: SweepControl) {
        for (member, row) in zip(members, found) {
            for (query, score) in zip(queries, row) { scores[member][query] = score }
        }
        guard let checkpoint = control.checkpoint else { return }
        checkpoint.store.keep(
            zip(members, found).map { ScoredSequence(sequence: keys[$0], scores: $1) },
            for: queries.map { checkpoint.queries[$0] })
    }

    /// How many sequences were done since this was last asked.
    mutating func takeProgress() -> Int {
        defer { reported = position }
        return position - reported
    }
}
