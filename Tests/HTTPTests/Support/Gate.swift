import Synchronization

/// Holds tasks until it is opened. Cancelled tasks pass, too.
actor Gate {
    private var isOpen = false
    private var nextIdentifier = 0
    private var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    private var observers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    private(set) var cancellations = 0

    func open() {
        isOpen = true
        for continuation in waiting.values { continuation.resume() }
        waiting = [:]
    }

    func wait() async {
        guard !isOpen else { return }
        nextIdentifier += 1
        let identifier = nextIdentifier
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiting[identifier] = continuation
                if Task.isCancelled { cancel(identifier) }
                notifyObservers()
            }
        } onCancel: {
            Task { await self.cancel(identifier) }
        }
    }

    private func cancel(_ identifier: Int) {
        guard let continuation = waiting.removeValue(forKey: identifier) else { return }
        cancellations += 1
        continuation.resume()
        notifyObservers()
    }

    /// Returns when so many tasks have come to the gate.
    func waitUntilSomeoneWaits(count: Int = 1) async {
        guard nextIdentifier < count else { return }
        await withCheckedContinuation { observers.append((count, $0)) }
    }

    /// Returns when so many tasks have been cancelled at the gate.
    func waitForCancellations(_ count: Int) async {
        guard cancellations < count else { return }
        await withCheckedContinuation { observers.append((-count, $0)) }
    }

    private func notifyObservers() {
        observers.removeAll { count, continuation in
            guard count > 0 ? nextIdentifier >= count : cancellations >= -count else { return false }
            continuation.resume()
            return true
        }
    }
}

/// Collects values from several threads.
final class Recorder<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    func append(_ value: Value) { values.withLock { $0.append(value) } }

    var all: [Value] { values.withLock { $0 } }
}
