import Foundation
import Synchronization

/// Lets a number of tasks at a time do something, and the others when it is their turn, in the order of their coming.
actor Turns {
    private var free: Int
    private var waiting: [(ticket: Int, task: CheckedContinuation<Bool, Never>)] = []
    private var lastTicket = 0

    init(count: Int) {
        free = count
    }

    /// Tasks that wait for their turn.
    var waitingCount: Int { waiting.count }

    /// Waits for a turn, which must be given back with ``give()``.
    ///
    /// - Returns: False where none came in time, or the task was cancelled: there is nothing to give back then.
    func take(within limit: Duration) async -> Bool {
        if free > 0 {
            free -= 1
            return true
        }
        lastTicket += 1
        let ticket = lastTicket
        // Runs on this actor, and so not before the wait has begun.
        let alarm = Task {
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            leave(ticket)
        }
        defer { alarm.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { task in
                waiting.append((ticket, task))
                if Task.isCancelled { leave(ticket) }
            }
        } onCancel: {
            Task { await self.leave(ticket) }
        }
    }

    /// Ends a turn: the task that has waited longest has the next.
    func give() {
        guard !waiting.isEmpty else {
            free += 1
            return
        }
        waiting.removeFirst().task.resume(returning: true)
    }

    /// Ends a wait for a turn, if that has not come.
    private func leave(_ ticket: Int) {
        guard let index = waiting.firstIndex(where: { $0.ticket == ticket }) else { return }
        waiting.remove(at: index).task.resume(returning: false)
    }
}

/// Runs blocking calls on threads of its own, a few at a time, so that none of Swift's own pool is blocked.
struct BlockingLane: Sendable {
    private let queue: OperationQueue

    /// - Parameter width: How many calls run at a time; more wait for their turn.
    init(_ name: String, width: Int, qualityOfService: QualityOfService) {
        queue = OperationQueue()
        queue.name = name
        queue.maxConcurrentOperationCount = width
        queue.qualityOfService = qualityOfService
    }

    /// Runs a call and suspends until it returns.
    func run<Value: Sendable>(_ call: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.addOperation { continuation.resume(with: Result(catching: call)) }
        }
    }

    /// Runs a call that cannot fail and suspends until it returns.
    func run<Value: Sendable>(_ call: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.addOperation { continuation.resume(returning: call()) }
        }
    }
}

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

/// Tasks of an actor that wait for something by its name, or for a time-out, or for their own cancellation.
struct Sleepers<Event: Hashable & Sendable> {
    private var byEvent: [Event: [Int: CheckedContinuation<Void, Never>]] = [:]
    private var lastToken = 0

    /// A number for one wait.
    mutating func token() -> Int {
        lastToken += 1
        return lastToken
    }

    mutating func add(_ continuation: CheckedContinuation<Void, Never>, for event: Event, token: Int) {
        byEvent[event, default: [:]][token] = continuation
    }

    /// Wakes one task, if it still sleeps.
    mutating func wake(_ event: Event, token: Int) {
        byEvent[event]?.removeValue(forKey: token)?.resume()
        if byEvent[event]?.isEmpty == true { byEvent[event] = nil }
    }

    /// Wakes all that wait for an event.
    mutating func wake(_ event: Event) {
        for continuation in (byEvent.removeValue(forKey: event) ?? [:]).values { continuation.resume() }
    }
}
