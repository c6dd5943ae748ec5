/// Keeps the scores of a batch while its sweeps are under way, so that a process that dies loses only the last few seconds.
///
/// Scores are kept by what they depend on, the query and the sequence, and not by their place in a sweep: what is taken up
/// is right even where the corpus or the batch has changed in the meantime. Used from several threads at a time.
public protocol SweepCheckpoint: Sendable {
    /// The scores that were kept of a sequence.
    ///
    /// - Returns: One score a query, in order; `nil` unless there are scores for every one of the queries.
    func scores(of sequence: ContentKey, for queries: [ContentKey]) -> [SequenceScore]?

    /// Keeps the scores of one micro-batch, all of them or none.
    func keep(_ rows: [ScoredSequence], for queries: [ContentKey])
}

/// A sequence and its scores, one a query.
public struct ScoredSequence: Sendable, Equatable {
    public var sequence: ContentKey
    public var scores: [SequenceScore]

    public init(sequence: ContentKey, scores: [SequenceScore]) {
        self.sequence = sequence
        self.scores = scores
    }
}

/// What a sweep is told, and asked, while it is under way. All of it is used from several threads at a time.
public struct SweepControl: Sendable {
    /// Told how many candidates are done.
    public var progress: @Sendable (_ done: Int) -> Void = { _ in }
    /// Asked for each query before each micro-batch. The others go on without a query that is cancelled: it has no further
    /// scores, and candidates that only it wanted are passed over.
    public var isCancelled: @Sendable (_ query: Int) -> Bool = { _ in false }
    /// Called before each micro-batch, which begins when it returns.
    public var makeRoom: @Sendable () -> Void = {}
    /// For each query the candidates that it wants, by their place among all; `nil` if each wants all.
    public var wanted: [[Int]]?
    /// Where scores are kept and taken up, with the queries' names.
    public var checkpoint: (store: any SweepCheckpoint, queries: [ContentKey])?

    public init() {}
}
