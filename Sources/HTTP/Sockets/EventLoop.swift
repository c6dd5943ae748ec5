import CLinux
import Foundation
import Glibc
import Synchronization

/// An actor that owns a descriptor and receives its events from an event loop.
///
/// Invariant: a handler's executor is its loop. So the loop can call it without suspending, and its state needs no locks.
protocol EventHandler: Actor {
    /// Unique among all handlers, past ones included; a descriptor's number is soon used again.
    nonisolated var token: UInt64 { get }
    /// The descriptor is ready for an event that it is watched for, or has hung up.
    func ready(_ readiness: Readiness)
    /// Called every ``EventLoop/tickInterval``, so that the handler can check its deadlines.
    func tick(now: ContinuousClock.Instant)
}

/// A thread that waits for sockets and runs the actors that own them.
///
/// It is an executor: actors that return it as theirs run on its thread, both when a descriptor becomes ready and when other
/// tasks call them. Code that runs on it must not block or compute for long; request handlers run elsewhere.
final class EventLoop: SerialExecutor, Sendable {
    /// How often handlers with deadlines are called. A deadline is noticed at most this late.
    static let tickInterval: Duration = .milliseconds(100)

    private struct State {
        var jobs: [UnownedJob] = []
        var handlers: [UInt64: any EventHandler] = [:]
        /// The handlers that have deadlines.
        var timed: [UInt64: any EventHandler] = [:]
        var isWaiting = false
        var isStopping = false
        var hasEnded = false
    }

    private let name: String
    private let poller: Poller
    private let state = Mutex(State())
    private let thread = Atomic<UInt>(0)
    /// Runs jobs for the loop's actors that arrive after its thread has ended, such as those of a request handler that
    /// outlived the server.
    private let lateJobs: DispatchQueue

    /// - Throws: The ``SystemError`` of `epoll_create1` or `eventfd`, as when the process has no descriptors left.
    init(name: String) throws(SystemError) {
        self.name = name
        poller = try Poller()
        lateJobs = DispatchQueue(label: "\(name) late jobs")
    }

    func start() {
        let thread = Thread { self.run() }
        thread.name = name
        thread.start()
    }

    /// Ends the thread after the current events. Handlers must have been removed.
    func stop() {
        state.withLock { $0.isStopping = true }
        poller.wake()
    }

    // MARK: Handlers

    /// Callable from any thread. `ticks` says whether the handler has deadlines; without such handlers an idle loop sleeps.
    func add(
        _ handler: any EventHandler, descriptor: Int32, interest: Readiness, ticks: Bool
    ) throws(SystemError) {
        let token = handler.token
        let startsTicking = state.withLock { state in
            state.handlers[token] = handler
            guard ticks else { return false }
            state.timed[token] = handler
            return state.timed.count == 1
        }
        do {
            try poller.add(descriptor, interest: interest, token: token)
        } catch {
            forget(token)
            throw error
        }
        if startsTicking { poller.wake() }
    }

    func modify(_ handler: any EventHandler, descriptor: Int32, interest: Readiness) throws(SystemError) {
        try poller.modify(descriptor, interest: interest, token: handler.token)
    }

    /// Stops watching. Must be called before the descriptor is closed.
    func remove(_ handler: any EventHandler, descriptor: Int32) {
        poller.remove(descriptor)
        forget(handler.token)
    }

    private func forget(_ token: UInt64) {
        let removed = state.withLock { state in
            _ = state.timed.removeValue(forKey: token)
            return state.handlers.removeValue(forKey: token)
        }
        // Released here and not under the lock: the last release runs the handler's deinit.
        _ = removed
    }

    // MARK: Executor

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let (mustWake, hasEnded) = state.withLock { state in
            guard !state.hasEnded else { return (false, true) }
            state.jobs.append(job)
            defer { state.isWaiting = false }
            return (state.isWaiting, false)
        }
        if mustWake { poller.wake() }
        if hasEnded {
            lateJobs.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
        }
    }

    func isIsolatingCurrentContext() -> Bool? {
        thread.load(ordering: .relaxed) == UInt(pthread_self())
    }

    // MARK: The thread

    private func run() {
        thread.store(UInt(pthread_self()), ordering: .relaxed)
        defer { thread.store(0, ordering: .relaxed) }
        var events = [tributary_epoll_event](repeating: tributary_epoll_event(), count: 256)
        var jobs: [UnownedJob] = []
        var lastTick = ContinuousClock.now

        while true {
            let count = poller.wait(milliseconds: beginWaiting(), into: &events)
            endWaiting(taking: &jobs)
            for event in events[..<count] {
                let handler = state.withLock { $0.handlers[event.token] }
                if let handler { deliver(Readiness(rawValue: event.readiness), to: handler) }
            }
            for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
            jobs.removeAll(keepingCapacity: true)

            let now = ContinuousClock.now
            if now - lastTick >= Self.tickInterval {
                lastTick = now
                for handler in state.withLock({ Array($0.timed.values) }) { deliverTick(now, to: handler) }
            }
            if endIfStopped() { return }
        }
    }

    /// The timeout of the next wait: 0 if there is work, and -1 (no timeout) if no handler has deadlines.
    private func beginWaiting() -> Int32 {
        state.withLock { state in
            guard state.jobs.isEmpty, !state.isStopping else { return 0 }
            state.isWaiting = true
            return state.timed.isEmpty ? -1 : Int32(Self.tickInterval / .milliseconds(1))
        }
    }

    private func endWaiting(taking jobs: inout [UnownedJob]) {
        state.withLock { state in
            state.isWaiting = false
            swap(&state.jobs, &jobs)
        }
    }

    private func endIfStopped() -> Bool {
        let abandoned: [any EventHandler]? = state.withLock { state in
            guard state.isStopping, state.jobs.isEmpty else { return nil }
            state.hasEnded = true
            defer { (state.handlers, state.timed) = ([:], [:]) }
            return Array(state.handlers.values)
        }
        return abandoned != nil
    }

    private func deliver(_ readiness: Readiness, to handler: some EventHandler) {
        handler.assumeIsolated { $0.ready(readiness) }
    }

    private func deliverTick(_ now: ContinuousClock.Instant, to handler: some EventHandler) {
        handler.assumeIsolated { $0.tick(now: now) }
    }
}

/// Numbers handlers, from one upwards, for the life of the process.
enum EventToken {
    private static let last = Atomic<UInt64>(0)

    static func next() -> UInt64 {
        last.add(1, ordering: .relaxed).newValue
    }
}

/// The events that a descriptor is ready for, or watched for.
struct Readiness: OptionSet, Sendable {
    let rawValue: UInt32

    static let readable = Readiness(rawValue: tributary_epoll_readable)
    static let writable = Readiness(rawValue: tributary_epoll_writable)
    static let peerFinished = Readiness(rawValue: tributary_epoll_peer_finished)
    /// There is something to read: bytes, or the end of the peer's stream.
    static let incoming: Readiness = [.readable, .peerFinished]
    /// The connection is gone in both directions. Reported even when not asked for.
    static let hungUp = Readiness(rawValue: tributary_epoll_hang_up | tributary_epoll_error)
}

/// A level-triggered epoll set that other threads can wake.
struct Poller: ~Copyable, Sendable {
    private let epoll: Descriptor
    private let wakeup: Descriptor

    /// The token under which the eventfd is reported. No handler has it.
    private static let wakeupToken: UInt64 = 0

    init() throws(SystemError) {
        let epoll = try Self.owned(tributary_epoll_create(), by: "epoll_create1")
        let wakeup = try Self.owned(tributary_eventfd(), by: "eventfd")
        let interest = Readiness.readable.rawValue
        try Self.check(tributary_epoll_add(epoll.rawValue, wakeup.rawValue, interest, Self.wakeupToken))
        self.epoll = epoll
        self.wakeup = wakeup
    }

    private static func owned(_ rawValue: Int32, by call: String) throws(SystemError) -> Descriptor {
        guard rawValue >= 0 else { throw .last(call) }
        return Descriptor(owning: rawValue)
    }

    func add(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
        try Self.check(tributary_epoll_add(epoll.rawValue, descriptor, interest.rawValue, token))
    }

    func modify(_ descriptor: Int32, interest: Readiness, token: UInt64) throws(SystemError) {
        try Self.check(tributary_epoll_modify(epoll.rawValue, descriptor, interest.rawValue, token))
    }

    private static func check(_ status: Int32) throws(SystemError) {
        guard status == 0 else { throw .last("epoll_ctl") }
    }

    func remove(_ descriptor: Int32) {
        _ = tributary_epoll_remove(epoll.rawValue, descriptor)
    }

    /// Waits until a descriptor is ready, another thread calls ``wake()``, or the time is over; -1 waits without end.
    ///
    /// The events are filled in from the start, at most as many as there are. Returns their number, without that of ``wake()``.
    func wait(milliseconds: Int32, into events: inout [tributary_epoll_event]) -> Int {
        let ready = tributary_epoll_wait(epoll.rawValue, &events, Int32(events.count), milliseconds)
        var kept = 0
        for index in 0..<max(Int(ready), 0) {
            if events[index].token == Self.wakeupToken {
                var count: UInt64 = 0
                _ = Glibc.read(wakeup.rawValue, &count, MemoryLayout<UInt64>.size)
            } else {
                events[kept] = events[index]
                kept += 1
            }
        }
        return kept
    }

    /// Makes the current or the next wait return at once.
    func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(wakeup.rawValue, &one, MemoryLayout<UInt64>.size)
    }
}
