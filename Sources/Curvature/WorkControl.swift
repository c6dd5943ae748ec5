/// Observes, pauses and cancels long-running work. Its closures are called from several threads at a time.
public struct WorkControl<Progress: Sendable>: Sendable {
    /// Receives the progress whenever some of the work is done.
    public var progress: @Sendable (Progress) -> Void
    /// Whether one of the queries that the work serves, given by its index, is cancelled. A sweep calls this before each micro-batch, and
    /// goes on with the other queries. Work that serves a single caller does not call it.
    public var isCancelled: @Sendable (_ query: Int) -> Bool
    /// Called before each micro-batch or other short step of the work, on the thread that computes it. The step begins when this returns,
    /// so that the work pauses while this blocks. An error that it throws ends the work.
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

/// How much of some work is done.
public struct WorkProgress: Sendable, Equatable {
    /// Iterations of a solve or a minimisation, or sequences of a pass such as a sweep.
    public let done: Int
    public let total: Int

    public init(done: Int, total: Int) {
        self.done = done
        self.total = total
    }
}
