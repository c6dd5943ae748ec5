import Curvature
import LinearAlgebra
import Sequences
import Synchronization
import Transformer

/// One pass over candidate sequences, which scores each against every query of a query batch.
///
/// Each worker takes the next chunk of candidates, packs it into micro-batches and runs these forward and backward with its own workspace,
/// which takes four FLOPs per parameter and token. Apart from rounding, a candidate's scores do not depend on other candidates.
public struct CandidateSweep: Sendable {
    let decoder: DecoderModel
    let tracked: TrackedLayers
    let workers: Workers
    /// The most tokens of a micro-batch, which has at least one sequence.
    let batchTokens: Int
    let tally: SweepTally
    /// Reads sequences, in the order of the rowids.
    let sequences: @Sendable ([Int64]) throws -> [TrainingSequence]

    /// The candidates that a worker takes at a time. Chunks become smaller towards the end, so that all workers end at about the same time.
    /// They depend only on the number of candidates, so that the same candidates share a micro-batch whatever the number of workers.
    static func chunks(of candidates: Int) -> [Range<Int>] {
        var chunks: [Range<Int>] = []
        var start = 0
        while start < candidates {
            // The largest size, halved repeatedly, so that small chunks fill micro-batches as the largest do.
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
        tally: SweepTally = SweepTally(), sequences: @escaping @Sendable ([Int64]) throws -> [TrainingSequence]
    ) {
        self.decoder = decoder
        self.tracked = tracked
        self.workers = workers
        self.batchTokens = batchTokens ?? decoder.microBatchTokens
        self.tally = tally
        self.sequences = sequences
    }

    /// The parts of scores that are computed in addition to their totals.
    public struct Breakdown: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        public static let layers = Breakdown(rawValue: 1)
        public static let tokens = Breakdown(rawValue: 2)
        /// ``SequenceScore/tokenConcentration``, which tells whether scores are likely artefacts.
        public static let concentration = Breakdown(rawValue: 4)
    }

    /// Where scores are kept and resumed from, with the queries' names.
    public typealias Checkpoint = (store: any SweepCheckpoint, queries: [ContentKey])

    /// The influence of each candidate on each query's completion.
    ///
    /// A score is the same to the last bit whenever its candidate shares a micro-batch with the same others, as its products then have the
    /// same shapes. Micro-batches are the same when a sweep resumes from a checkpoint. In different micro-batches scores differ by
    /// rounding: relative to the largest by less than 1e-6 with AVX-512, and by less than 2e-6 with AVX2.
    ///
    /// - Parameters:
    ///   - candidates: Sequences to score; order is kept in the result.
    ///   - queries: Preconditioned gradients, all of this model and one set of factors.
    ///   - wanted: For each query its candidates, by their indices; `nil` if each query wants all.
    ///   - control: Receives how many candidates are done. Candidates that only cancelled queries want are skipped.
    /// - Returns: For each candidate, one score per query, in nats and not divided by the number of training sequences. Unwanted pairs are
    ///   not scored: ``SequenceScore/isScored``. If the model overflows on a candidate, its scores are not finite.
    /// - Throws: ``QueryError/cancelled`` at the next micro-batch after all queries are cancelled, the error of `control.step`, or the
    ///   error of reading the tokens.
    public func scores(
        of candidates: [Int64], queries: [PreconditionedQuery], breakdown: Breakdown = [], wanted: [[Int]]? = nil,
        checkpoint: Checkpoint? = nil, control: WorkControl<WorkProgress> = WorkControl()
    ) throws -> [[SequenceScore]] {
        let interest = SweepInterest(
            queries: queries, candidateCount: candidates.count, wanted: wanted,
            isInHalfPrecision: decoder.isInHalfPrecision, isCancelled: control.isCancelled,
            form: try scoringForm(of: candidates, breakdown: breakdown))
        let wanted = wanted.flatMap { WantedPairs($0, of: candidates.count) }
        let done = Atomic<Int>(0)
        let slots = (0..<workers.count).map { _ in WorkerSlot(Worker(tracked: tracked)) }
        let chunks = Self.chunks(of: candidates.count)
        let scored = try workers.map(0..<chunks.count) { worker, index in
            try slots[worker].withState { state in
                var chunk = Chunk(
                    start: chunks[index].lowerBound, sequences: try sequences(Array(candidates[chunks[index]])),
                    queries: queries.count, wanted: wanted, checkpoint: checkpoint)
                while !chunk.isDone {
                    try control.step()
                    let current = try interest.current()
                    state.prepare(for: current, breakdown: breakdown)
                    if let batch = chunk.next(upTo: batchTokens, wantedBy: current) {
                        state.tap.wanted = chunk.wanted(by: current)
                        decoder.run(batch, in: &state.workspace, tracked: tracked, tap: &state.tap)
                        chunk.take(state.tap.scores, of: current.queries)
                        tally.add(sequences: batch.sequences.count, tokens: batch.tokens.count)
                    }
                    let doneNow = done.add(chunk.takeProgress(), ordering: .relaxed).newValue
                    control.progress(WorkProgress(done: doneNow, total: candidates.count))
                }
                return chunk.scores
            }
        }
        return Array(scored.joined())
    }

    /// The number of sequences whose mean length decides between the forms.
    private static let sampled = 32

    /// Chooses the cheapest form for some queries. Only the token form finds the scores of tokens.
    private func scoringForm(
        of candidates: [Int64], breakdown: Breakdown
    ) throws -> @Sendable ([PreconditionedQuery], _ wantedShare: Double) -> ScoringForm {
        guard breakdown.isDisjoint(with: [.tokens, .concentration]) else { return { _, _ in .tokens } }
        let sample = try sequences(Array(candidates.prefix(Self.sampled)))
        let mean = Double(sample.reduce(0) { $0 + $1.count }) / Double(max(sample.count, 1))
        return { [tracked] queries, share in
            ScoringCost(queries, tracked: tracked, tokens: mean, wantedShare: share).cheapest
        }
    }

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

/// The candidates that a worker has taken, and its progress with them.
private struct Chunk {
    /// One score per query of each sequence; unscored if the sequence was passed over.
    private(set) var scores: [[SequenceScore]]

    private let start: Int
    private let sequences: [TrainingSequence]
    private let checkpoint: CandidateSweep.Checkpoint?
    private let keys: [ContentKey]
    private var isScored: [Bool]
    private var position = 0
    private var reported = 0
    private var members: [Int] = []

    /// - Parameters:
    ///   - start: The index of the first sequence among all candidates.
    ///   - wanted: Which queries want which candidates, before any was cancelled.
    init(
        start: Int, sequences: [TrainingSequence], queries: Int, wanted: WantedPairs?,
        checkpoint: CandidateSweep.Checkpoint?
    ) {
        self.start = start
        self.sequences = sequences
        self.checkpoint = checkpoint
        let none = [SequenceScore](repeating: .unscored, count: queries)
        guard let checkpoint else {
            keys = []
            isScored = [Bool](repeating: false, count: sequences.count)
            scores = [[SequenceScore]](repeating: none, count: sequences.count)
            return
        }
        keys = sequences.map(ContentKey.init(sequence:))
        let kept = keys.enumerated().map { index, key -> [SequenceScore]? in
            guard let scores = checkpoint.store.scores(of: key, for: checkpoint.queries) else { return nil }
            // In an earlier batch a query may have wanted other candidates than it wants now.
            let isComplete = scores.indices.allSatisfy {
                scores[$0].isScored || wanted?[start + index].contains($0) == false
            }
            return isComplete ? scores : nil
        }
        isScored = kept.map { $0 != nil }
        scores = kept.map { $0 ?? none }
    }

    var isDone: Bool { position == sequences.count && reported == sequences.count }

    /// Packs the next sequences that are wanted and not yet scored; `nil` if there are no more.
    mutating func next(upTo limit: Int, wantedBy current: SweepInterest.Current) -> TokenBatch? {
        var batch = TokenBatch()
        members = []
        while position < sequences.count {
            if !isScored[position], current.wants(start + position) {
                let sequence = sequences[position]
                if !batch.sequences.isEmpty, batch.tokens.count + sequence.count > limit { break }
                batch.append(sequence)
                members.append(position)
            }
            position += 1
        }
        return members.isEmpty ? nil : batch
    }

    /// The queries that want each sequence of the micro-batch; `nil` if all queries want all sequences.
    func wanted(by current: SweepInterest.Current) -> [[Int]]? {
        current.pairs.map { pairs in members.map { pairs[start + $0] } }
    }

    /// Takes the scores of the micro-batch for some of the queries, and keeps them in the checkpoint.
    mutating func take(_ found: [[SequenceScore]], of queries: [Int]) {
        for (member, row) in zip(members, found) {
            for (query, score) in zip(queries, row) { scores[member][query] = score }
        }
        guard let checkpoint else { return }
        checkpoint.store.keep(
            zip(members, found).map { ScoredSequence(sequence: keys[$0], scores: $1) },
            for: queries.map { checkpoint.queries[$0] })
    }

    mutating func takeProgress() -> Int {
        defer { reported = position }
        return position - reported
    }
}

/// Counts the sequences and tokens that sweeps have scored. Workers add to it after each micro-batch.
public final class SweepTally: Sendable {
    private let sequenceCount = Atomic<Int>(0)
    private let tokenCount = Atomic<Int>(0)

    public init() {}

    public var sequences: Int { sequenceCount.load(ordering: .relaxed) }
    public var tokens: Int { tokenCount.load(ordering: .relaxed) }

    func add(sequences: Int, tokens: Int) {
        sequenceCount.add(sequences, ordering: .relaxed)
        tokenCount.add(tokens, ordering: .relaxed)
    }
}

/// The precision in which a sweep multiplies matrices. The leading candidates are scored again in Float32 in any case.
public enum SweepPrecision: String, Sendable, CaseIterable {
    case float32 = "fp32"
    /// Values are rounded to bfloat16, sums are Float32.
    case bfloat16 = "bf16"

    /// - Throws: ``SweepPrecisionError`` if this machine does not offer products of this precision.
    public func checkProcessor() throws {
        guard self == .bfloat16 else { return }
        if !HalfMatrix.isSupported { throw SweepPrecisionError.slow }
        if !HalfMatrix.canMultiply() { throw SweepPrecisionError.forbidden }
    }
}

/// Why sweeps cannot have a precision.
public enum SweepPrecisionError: Error, Equatable, CustomStringConvertible {
    /// The processor does not multiply values of this precision.
    case slow
    /// The system does not let the process compute such products.
    case forbidden

    public var description: String {
        switch self {
        case .slow:
            """
            bf16: expected a processor that multiplies bfloat16 values (AVX-512 BF16 or AMX), found one that does not, on which \
            bf16 would lose precision and save no time: use fp32
            """
        case .forbidden:
            """
            bf16: expected permission to write code at run time, which its products need, but the system refuses it \
            (as systemd does with MemoryDenyWriteExecute=yes): allow it, or use fp32
            """
        }
    }
}
