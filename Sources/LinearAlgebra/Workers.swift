import Dispatch
import Foundation
import Synchronization

/// The workers that compute in parallel, by default one per core.
public struct Workers: Sendable, Equatable {
    public let count: Int
    /// The numbers of workers that a user can choose.
    public static let limit = 1...4_096
    /// How far the workers yield to the machine's other threads, as in nice(2): from 0, not at all, to 19.
    public let niceness: Int

    /// - Parameter count: At least one; by default one per active processor.
    public init(count: Int = ProcessInfo.processInfo.activeProcessorCount, niceness: Int = 0) {
        self.count = max(1, count)
        self.niceness = min(max(niceness, 0), 19)
    }

    /// Runs the body once for each worker in parallel, and returns the results in the order of the workers.
    ///
    /// - Throws: The error of the lowest-numbered worker that threw; all have ended by then.
    public func run<Value: Sendable>(_ body: @Sendable (_ worker: Int) throws -> Value) throws -> [Value] {
        let results = Mutex<[Int: Result<Value, any Error>]>([:])
        perform { worker in
            let result = Result { try body(worker) }
            results.withLock { $0[worker] = result }
        }
        let found = results.withLock { $0 }
        return try (0..<count).compactMap { try found[$0]?.get() }
    }

    private func perform(_ body: @Sendable (_ worker: Int) -> Void) {
        guard niceness > 0 else { return DispatchQueue.concurrentPerform(iterations: count, execute: body) }
        // On Linux each thread has its own niceness and cannot lower it again: these threads do nothing else, and end.
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

    /// Runs the body for each index, giving the next one to the next free worker, and returns the results in order.
    ///
    /// - Throws: The error of the lowest index that threw; indices that have not started by then are skipped.
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
        return try partials.joined().sorted { $0.index < $1.index }.map { try $0.value.get() }
    }
}

/// The state that one worker keeps from task to task, such as its workspace.
///
/// The state is lent to its worker, and no lock is held meanwhile: the worker's task can wait, call back and read files. Invariant: one
/// task at a time uses a slot.
public final class WorkerSlot<State: Sendable>: Sendable {
    /// `nil` while the state is lent.
    private let state: Mutex<State?>

    public init(_ state: State) {
        self.state = Mutex(state)
    }

    /// Lends the worker its state until the body returns or throws.
    ///
    /// - Precondition: No other task has the state.
    public func withState<Value: Sendable>(_ body: (inout State) throws -> Value) rethrows -> Value {
        guard var lent = state.withLock({ $0.take() }) else {
            preconditionFailure("a worker's state is requested while another task has it")
        }
        defer { state.withLock { $0 = lent } }
        return try body(&lent)
    }
}

/// States that tasks leave for later tasks, such as workspaces. The pool holds as many as were ever in use at a time.
///
/// As with ``WorkerSlot``, a state is lent and no lock is held meanwhile. Any number of tasks can borrow one at the same time.
public final class SparePool<State: Sendable>: Sendable {
    private let spare = Mutex<[State]>([])
    private let make: @Sendable () -> State

    /// - Parameter make: Makes another state when all are lent.
    public init(_ make: @escaping @Sendable () -> State) {
        self.make = make
    }

    /// Lends a state until the body returns or throws. It is in the condition in which another task left it.
    public func withState<Value: Sendable>(_ body: (inout State) throws -> Value) rethrows -> Value {
        var lent = spare.withLock { $0.popLast() } ?? make()
        defer { spare.withLock { $0.append(lent) } }
        return try body(&lent)
    }
}

/// A body that threads share. It is released as soon as all of them have run it, because a thread ends later than its work.
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
