import Curvature

/// What an evaluation reports and asks while it is under way; used from any thread.
public struct EvaluationControl: Sendable {
    /// Told of each step.
    public var progress: @Sendable (Progress) -> Void
    /// Asked before each micro-batch.
    public var isCancelled: @Sendable () -> Bool

    public struct Progress: Sendable, Equatable {
        public var stage: String
        public var done: Int
        public var total: Int
    }

    public init(
        progress: @escaping @Sendable (Progress) -> Void = { _ in },
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.progress = progress
        self.isCancelled = isCancelled
    }

    /// Throws ``EvaluationError/cancelled`` once the evaluation is not wanted any more.
    var step: @Sendable () throws -> Void {
        { [isCancelled] in if isCancelled() { throw EvaluationError.cancelled } }
    }

    func report(_ stage: String, _ done: Int, of total: Int) {
        progress(Progress(stage: stage, done: done, total: total))
    }

    /// The control of an inverse product, shown as a stage.
    func solving(_ stage: String) -> WorkControl<WorkProgress> {
        WorkControl(progress: { report(stage, $0.done, of: $0.total) }, step: step)
    }
}
