import Dispatch
import Foundation
import Synchronization

/// Blocking work on its own thread. A test waits for it no longer than it can take at worst, so that work that hangs fails the test instead
/// of hanging it.
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

    /// The work's result.
    ///
    /// - Returns: `nil` if it has not ended after two minutes.
    public func wait() -> Value? {
        guard ended.wait(timeout: .now() + 120) == .success else { return nil }
        ended.signal()
        return value.withLock { $0 }
    }
}
