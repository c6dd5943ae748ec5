import CLinux
import HTTP
import Synchronization

/// Returns freed memory to the system, every few seconds while the server is active.
///
/// The allocator keeps the pages that sweeps and answers have freed, so a server would always stay as large as it once was.
final class FreedMemory: ConnectionObserving {
    private let activity = Atomic<Int>(0)
    private let giveBack: @Sendable () -> Void
    /// Returning memory takes milliseconds, during which other threads may have to wait for memory.
    private let lane = BlockingLane("tributary.memory", width: 1, qualityOfService: .utility)

    init(giveBack: @escaping @Sendable () -> Void = { tributary_return_freed_memory() }) {
        self.giveBack = giveBack
    }

    /// Makes the allocator keep little freed memory, from now on.
    static func limit() { tributary_keep_little_freed_memory() }

    /// Notes activity that may have freed memory.
    func note() { activity.add(1, ordering: .relaxed) }

    func requestFinished(_ report: RequestReport) { note() }

    /// Returns memory at most once in each interval, until the task is cancelled.
    ///
    /// It does so once more in the interval after the last activity, because activity is noted before all its memory is free.
    func watch(every interval: Duration = .seconds(10)) async {
        var seen = 0
        var wasActive = false
        while (try? await Task.sleep(for: interval)) != nil {
            let now = activity.load(ordering: .relaxed)
            let isActive = now != seen
            seen = now
            if isActive || wasActive { await lane.run(giveBack) }
            wasActive = isActive
        }
    }
}
