import Synchronization

@testable import Evaluation

/// Interrupts an evaluation when it has been asked this many times whether it is interrupted.
final class Interrupter: Sendable {
    private let left: Mutex<Int>

    init(after count: Int) {
        left = Mutex(count)
    }

    var control: EvaluationControl {
        EvaluationControl(isCancelled: {
            self.left.withLock { left in
                left -= 1
                return left < 0
            }
        })
    }
}
