import Synchronization

@testable import Evaluation

/// Remembers which stages an evaluation told of.
final class Stages: Sendable {
    private let reported = Mutex<[String]>([])

    var control: EvaluationControl {
        EvaluationControl(progress: { progress in
            self.reported.withLock { if $0.last != progress.stage { $0.append(progress.stage) } }
        })
    }

    /// In their order.
    var names: [String] { reported.withLock { $0 } }
}
