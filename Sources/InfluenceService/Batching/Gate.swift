import Foundation
import Synchronization

/// Holds threads while it is closed.
final class Gate: Sendable {
    private let condition = NSCondition()
    private let isClosed = Atomic<Bool>(false)

    func close() { isClosed.store(true, ordering: .relaxed) }

    func open() {
        condition.lock()
        isClosed.store(false, ordering: .relaxed)
        condition.broadcast()
        condition.unlock()
    }

    /// Blocks the thread while the gate is closed.
    func pass() {
        guard isClosed.load(ordering: .relaxed) else { return }
        condition.lock()
        while isClosed.load(ordering: .relaxed) { condition.wait() }
        condition.unlock()
    }
}
