import Dispatch
import Foundation
import Synchronization

/// Blocking work on a thread of its own, which a test waits for no longer than it can take at worst: what hangs fails the test, and does
/// not hang it.
public final class WatchedWork<Value: Sendable>: Sendable {
    private let ended = DispatchSemaphore(value: 0)
    private let value = Mutex<Value?>(nil)

    public init(_ work: @escaping @Sendable () -> Value) {
        let thread = Thread { [self] in
            let found = work()
            value.withLock { $0 = found }
            ended.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// What the work came to.
    ///
    /// - Returns: `nil` if it has not ended after two minutes.
    public func wait() -> Value? {
        guard ended.wait(timeout: .now() + 120) == .success else { return nil }
        ended.signal()
        return value.withLock { $0 }
    }
}
