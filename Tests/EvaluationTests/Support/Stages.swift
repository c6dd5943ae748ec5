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

extension EvaluationControl {
    /// The same control with a file of records and a limit in seconds.
    func keeping(_ records: String?, limit: Double? = nil) -> EvaluationControl {
        var control = self
        control.records = records
        control.limit = limit
        return control
    }
}
