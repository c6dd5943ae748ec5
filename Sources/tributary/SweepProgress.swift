import Attribution
import Synchronization

/// Shows the stages of a batch of queries while they last. How long they took is in the results.
final class SweepProgress: Sendable {
    private let current = Mutex<(stage: InfluenceProgress.Stage, display: ProgressLine)?>(nil)

    /// May be called from any thread.
    func show(_ progress: InfluenceProgress) {
        let display = current.withLock { current in
            if let current, current.stage == progress.stage { return current.display }
            current?.display.clear()
            let display = ProgressLine(progress.stage.title)
            current = (progress.stage, display)
            return display
        }
        display.update(progress.done, of: progress.total, unit: progress.stage.unit)
    }

    func end() {
        current.withLock { current in
            current?.display.clear()
            current = nil
        }
    }
}

extension InfluenceProgress.Stage {
    fileprivate var title: String {
        switch self {
        case .gradients: "query gradients"
        case .candidates: "candidates"
        case .sweep: "sweep"
        case .rescore: "rescoring"
        }
    }

    fileprivate var unit: String {
        switch self {
        case .gradients: "steps"
        case .candidates: "queries"
        case .sweep, .rescore: "sequences"
        }
    }
}
