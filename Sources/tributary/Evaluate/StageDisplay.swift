import Evaluation
import Synchronization

/// Shows the stages of an evaluation while they last.
final class StageDisplay: Sendable {
    private let current = Mutex<(stage: String, display: ProgressLine)?>(nil)

    /// May be called from any thread.
    func show(_ progress: EvaluationControl.Progress) {
        let display = current.withLock { current in
            if let current, current.stage == progress.stage { return current.display }
            current?.display.clear()
            let display = ProgressLine(progress.stage)
            current = (progress.stage, display)
            return display
        }
        display.update(progress.done, of: progress.total, unit: "steps")
    }

    func end() {
        current.withLock { current in
            current?.display.clear()
            current = nil
        }
    }
}
