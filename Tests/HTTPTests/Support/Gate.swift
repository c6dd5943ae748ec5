import Synchronization

/// Makes tasks wait until it is opened. Cancelled tasks do not wait.
actor Gate {
    private var isOpen = false
    private var arrivals = 0
    private var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    private var cancellations = 0

    func open() {
        isOpen = true
        for continuation in waiting.values { continuation.resume() }
        waiting = [:]
    }

    func wait() async {
        guard !isOpen else { return }
        arrivals += 1
        let identifier = arrivals
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiting[identifier] = continuation
                if Task.isCancelled { cancel(identifier) }
            }
        } onCancel: {
            Task { await self.cancel(identifier) }
        }
    }

    private func cancel(_ identifier: Int) {
        guard let continuation = waiting.removeValue(forKey: identifier) else { return }
        cancellations += 1
        continuation.resume()
    }

    /// Returns when this many tasks have arrived at the gate.
    func waitForArrivals(_ count: Int = 1) async throws {
        while arrivals < count { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Returns when this many tasks have been cancelled at the gate.
    func waitForCancellations(_ count: Int = 1) async throws {
        while cancellations < count { try await Task.sleep(for: .milliseconds(2)) }
    }
}

/// Collects values from several threads.
final class Recorder<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    func append(_ value: Value) { values.withLock { $0.append(value) } }

    var all: [Value] { values.withLock { $0 } }
}
