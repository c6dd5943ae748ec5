import Dispatch
import Foundation
import Synchronization

/// How many workers compute at once, one a core.
public struct Workers: Sendable, Equatable {
    public let count: Int
    /// How many there can be.
    public static let limit = 1...4_096
    /// How far the workers stand back behind the machine's other threads, as nice(2) has it: from 0, not at all, to 19.
    public let niceness: Int

    /// - Parameter count: At least one; by default, one for each processor that is active.
    public init(count: Int = ProcessInfo.processInfo.activeProcessorCount, niceness: Int = 0) {
        self.count = max(1, count)
        self.niceness = min(max(niceness, 0), 19)
    }

    /// Runs the body once for each worker, all at the same time, and gives their results in the workers' order.
    ///
    /// - Throws: The error of the lowest-numbered worker that threw; all have ended by then.
    public func run<Value: Sendable>(_ body: @Sendable (_ worker: Int) throws -> Value) throws -> [Value] {
        let results = Mutex<[Int: Result<Value, any Error>]>([:])
        perform { worker in
            let result = Result { try body(worker) }
            results.withLock { $0[worker] = result }
        }
        return try results.withLock { results in try (0..<count).compactMap { try results[$0]?.get() } }
    }

    private func perform(_ body: @Sendable (_ worker: Int) -> Void) {
        guard niceness > 0 else { return DispatchQueue.concurrentPerform(iterations: count, execute: body) }
        // Linux has a niceness for each thread, and lets no thread take it back: these do nothing else, and end.
        withoutActuallyEscaping(body) { body in
            let work = SharedWork(body)
            let ended = DispatchSemaphore(value: 0)
            for worker in 0..<count {
                let thread = Thread {
                    _ = nice(Int32(niceness))
                    work.run(worker)
                    ended.signal()
                }
                thread.name = "compute-\(worker)"
                thread.stackSize = 8 << 20
                thread.start()
            }
            for _ in 0..<count { ended.wait() }
            work.release()
        }
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

/// A body that threads share, and of which they hold nothing any more once they have run it: they end later than their work.
private final class SharedWork: Sendable {
    private let body: Mutex<(@Sendable (Int) -> Void)?>

    init(_ body: @escaping @Sendable (Int) -> Void) {
        self.body = Mutex(body)
    }

    @inline(never)
    func run(_ worker: Int) {
        let body = body.withLock { $0 }
        body?(worker)
    }

    func release() { body.withLock { $0 = nil } }
}
