import Dispatch
import Foundation
import Synchronization

/// How many workers compute at once, one a core.
public struct Workers: Sendable, Equatable {
    public let count: Int

    /// - Parameter count: At least one; by default, one for each processor that is active.
    public init(count: Int = ProcessInfo.processInfo.activeProcessorCount) {
        self.count = max(1, count)
    }

    /// Runs the body once for each worker, all at the same time, and gives their results in the workers' order.
    ///
    /// - Throws: The error of the lowest-numbered worker that threw; all have ended by then.
    public func run<Value: Sendable>(_ body: @Sendable (_ worker: Int) throws -> Value) throws -> [Value] {
        let results = Mutex<[Int: Result<Value, any Error>]>([:])
        DispatchQueue.concurrentPerform(iterations: count) { worker in
            let result = Result { try body(worker) }
            results.withLock { $0[worker] = result }
        }
        return try results.withLock { results in try (0..<count).compactMap { try results[$0]?.get() } }
    }

    /// Runs the body for each index, handing the next one to whichever worker is free, and gives the results in order.
    ///
    /// - Throws: The error of the lowest index that threw; indices not yet begun by then are skipped.
    public func map<Value: Sendable>(
        _ indices: Range<Int>, _ body: @Sendable (_ worker: Int, _ index: Int) throws -> Value
    ) throws -> [Value] {
        let next = Atomic<Int>(indices.lowerBound)
        let partials = try run { worker in
            var values: [(index: Int, value: Result<Value, any Error>)] = []
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < indices.upperBound else { return values }
                let result = Result { try body(worker, index) }
                values.append((index, result))
                if case .failure = result { next.store(indices.upperBound, ordering: .relaxed) }
            }
        }
        // Kept in the order of the indices, whoever did the work.
        return try partials.joined().sorted { $0.index < $1.index }.map { try $0.value.get() }
    }
}

/// What one worker keeps from task to task, such as its workspace.
public final class WorkerSlot<State: Sendable>: Sendable {
    private let state: Mutex<State>

    public init(_ state: State) {
        self.state = Mutex(state)
    }

    /// Gives the worker its state; another that asked for the same at the same time would wait.
    public func withState<Value: Sendable>(_ body: (inout State) throws -> Value) rethrows -> Value {
        try state.withLock { try body(&$0) }
    }
}
