/// Observes, pauses and cancels work that takes long. Its closures are called from several threads at a time.
public struct WorkControl<Progress: Sendable>: Sendable {
    /// Receives each step of the progress.
    public var progress: @Sendable (Progress) -> Void
    /// Says whether one of the queries that the work serves is no longer wanted, by its index. Asked before each micro-batch: the others
    /// go on without it. Work for a single asker does not ask.
    public var isCancelled: @Sendable (_ query: Int) -> Bool
    /// Called before each micro-batch, on the thread that computes it. The micro-batch begins when this returns, so that the work
    /// pauses while this blocks. What it throws ends the work.
    public var step: @Sendable () throws -> Void

    public init(
        progress: @escaping @Sendable (Progress) -> Void = { _ in },
        isCancelled: @escaping @Sendable (_ query: Int) -> Bool = { _ in false },
        step: @escaping @Sendable () throws -> Void = {}
    ) {
        self.progress = progress
        self.isCancelled = isCancelled
        self.step = step
    }
}

/// How much of a piece of work is done.
public struct WorkProgress: Sendable, Equatable {
    /// Iterations of a solve, or candidates of a sweep.
    public let done: Int
    public let total: Int

    public init(done: Int, total: Int) {
        self.done = done
        self.total = total
    }
}
