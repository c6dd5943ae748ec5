import Synchronization

@testable import Attribution

/// Counts an engine's micro-batches, each of which is reported when it is done, and the steps before them.
final class StepCounter: Sendable {
    private let microBatches = Mutex<[InfluenceProgress.Stage: Int]>([:])
    private let steps = Mutex(0)
    private let last = Mutex<InfluenceProgress?>(nil)

    /// The last report.
    var latest: InfluenceProgress? { last.withLock { $0 } }

    func note(_ progress: InfluenceProgress) {
        last.withLock { $0 = progress }
        if progress.done > 0 { microBatches.withLock { $0[progress.stage, default: 0] += 1 } }
    }

    func step() { steps.withLock { $0 += 1 } }

    /// How often a micro-batch, or other work, was about to begin.
    var stepCount: Int { steps.withLock { $0 } }

    subscript(stage: InfluenceProgress.Stage) -> Int { microBatches.withLock { $0[stage, default: 0] } }
}
