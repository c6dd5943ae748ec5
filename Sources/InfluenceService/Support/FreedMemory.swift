import CLinux
import HTTP
import Synchronization

/// Gives memory that was freed back to the system, every few seconds while there is something to do.
///
/// Sweeps and answers free what they took, but the allocator keeps its pages for what comes next, and a server would for ever
/// be as large as its largest moment.
final class FreedMemory: ConnectionObserving {
    private let activity = Atomic<Int>(0)
    private let giveBack: @Sendable () -> Void
    /// Giving back takes milliseconds, in which other threads may wait for memory.
    private let lane = BlockingLane("tributary.memory", width: 1, qualityOfService: .utility)

    init(giveBack: @escaping @Sendable () -> Void = { tributary_return_freed_memory() }) {
        self.giveBack = giveBack
    }

    /// Has the process keep little of what it frees, from now on.
    static func limit() { tributary_keep_little_freed_memory() }

    /// Says that something has been done that may have freed memory.
    func note() { activity.add(1, ordering: .relaxed) }

    func requestFinished(_ report: RequestReport) { note() }

    /// Gives memory back at most once in each interval, until the task is cancelled.
    ///
    /// It is given back once more in the interval after the last activity: what was done says so before all that it held is freed.
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
