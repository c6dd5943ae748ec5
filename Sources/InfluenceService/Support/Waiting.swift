import Foundation
import Synchronization

/// Lets a limited number of tasks run at a time; the others wait for their turn, in the order in which they came.
actor Turns {
    private var free: Int
    private var waiting: [(ticket: Int, task: CheckedContinuation<Bool, Never>)] = []
    private var lastTicket = 0

    init(count: Int) {
        free = count
    }

    var waitingCount: Int { waiting.count }

    /// Waits for a turn, which must be given back with ``give()``.
    ///
    /// - Returns: False if no turn came in time, or the task was cancelled: there is then nothing to give back.
    func take(within limit: Duration) async -> Bool {
        if free > 0 {
            free -= 1
            return true
        }
        lastTicket += 1
        let ticket = lastTicket
        // Runs on this actor, so not before the wait has begun.
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

    private func leave(_ ticket: Int) {
        guard let index = waiting.firstIndex(where: { $0.ticket == ticket }) else { return }
        waiting.remove(at: index).task.resume(returning: false)
    }
}

/// Runs blocking calls on threads of its own, a few at a time, so that they block no thread of Swift's pool.
struct BlockingLane: Sendable {
    private let queue: OperationQueue

    /// - Parameter width: How many calls run at a time.
    init(_ name: String, width: Int, qualityOfService: QualityOfService) {
        queue = OperationQueue()
        queue.name = name
        queue.maxConcurrentOperationCount = width
        queue.qualityOfService = qualityOfService
    }

    func run<Value: Sendable, Failure: Error>(
        _ call: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<Value, Failure>, Never>) in
            queue.addOperation { continuation.resume(returning: Result(catching: call)) }
        }
        return try result.get()
    }
}

/// Blocks threads while it is closed.
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

    func pass() {
        guard isClosed.load(ordering: .relaxed) else { return }
        condition.lock()
        while isClosed.load(ordering: .relaxed) { condition.wait() }
        condition.unlock()
    }
}

/// Tasks of an actor that wait for a named event, a time-out or their own cancellation.
struct Sleepers<Event: Hashable & Sendable> {
    private var byEvent: [Event: [Int: CheckedContinuation<Void, Never>]] = [:]
    private var lastToken = 0

    mutating func token() -> Int {
        lastToken += 1
        return lastToken
    }

    mutating func add(_ continuation: CheckedContinuation<Void, Never>, for event: Event, token: Int) {
        byEvent[event, default: [:]][token] = continuation
    }

    mutating func wake(_ event: Event, token: Int) {
        byEvent[event]?.removeValue(forKey: token)?.resume()
        if byEvent[event]?.isEmpty == true { byEvent[event] = nil }
    }

    mutating func wake(_ event: Event) {
        for continuation in (byEvent.removeValue(forKey: event) ?? [:]).values { continuation.resume() }
    }
}
