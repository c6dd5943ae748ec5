/// What whoever starts a batch of queries is told, and has a say in, while it is under way.
///
/// All of it is used from the threads that compute, several at a time.
public struct BatchControl: Sendable {
    /// Told of each step.
    public var progress: @Sendable (InfluenceProgress) -> Void
    /// Asked, by a query's index, before each micro-batch whether its answer is no longer wanted.
    public var isCancelled: @Sendable (_ query: Int) -> Bool
    /// Called before each micro-batch, which begins when it returns: other work goes first by blocking here.
    public var makeRoom: @Sendable () -> Void
    /// Where scores are kept in case the process dies before the batch is done.
    public var checkpoint: (any SweepCheckpoint)?

    public init(
        progress: @escaping @Sendable (InfluenceProgress) -> Void = { _ in },
        isCancelled: @escaping @Sendable (_ query: Int) -> Bool = { _ in false },
        makeRoom: @escaping @Sendable () -> Void = {}, checkpoint: (any SweepCheckpoint)? = nil
    ) {
        self.progress = progress
        self.isCancelled = isCancelled
        self.makeRoom = makeRoom
        self.checkpoint = checkpoint
    }
}
