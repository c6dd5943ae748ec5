import Foundation
import LinearAlgebra
import Synchronization
import Testing

@Suite("Workers")
struct WorkersTests {
    private struct Failure: Error, Equatable {
        let index: Int
    }

    @Test("are at least one")
    func count() {
        #expect(Workers(count: 3).count == 3)
        #expect(Workers(count: 0).count == 1)
        #expect(Workers(count: -5).count == 1)
        #expect(Workers().count >= 1)
    }

    @Test("each run once, and give their results in their order", arguments: [1, 2, 7])
    func run(count: Int) throws {
        let calls = Mutex<[Int]>([])
        let results = try Workers(count: count).run { worker in
            calls.withLock { $0.append(worker) }
            return worker * worker
        }
        #expect(results == (0..<count).map { $0 * $0 })
        #expect(calls.withLock { $0.sorted() } == Array(0..<count))
    }

    @Test(
        "stand back behind other threads where asked to, each time again, and leave the caller's as it is",
        arguments: [1, 3])
    func niceness(count: Int) throws {
        @Sendable func current() -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }
        let own = current()
        let workers = Workers(count: count, niceness: 5)
        for _ in 0..<200 {
            #expect(try workers.run { _ in current() } == Array(repeating: min(own + 5, 19), count: count))
        }
        #expect(try workers.map(0..<50) { $1 } == Array(0..<50))
        #expect(throws: Failure(index: 0)) { try workers.run { worker -> Int in throw Failure(index: worker) } }
        #expect(current() == own)
        #expect(Workers(niceness: 40).niceness == 19 && Workers(niceness: -3).niceness == 0)
    }

    @Test("keep results that are nil")
    func optionals() throws {
        let results: [Int?] = try Workers(count: 3).run { $0 == 1 ? nil : $0 }
        #expect(results == [0, nil, 2])
    }

    @Test("take each index once, and give the results in the order of the indices", arguments: [1, 2, 7])
    func map(count: Int) throws {
        let calls = Mutex<[Int]>([])
        let results = try Workers(count: count).map(5..<205) { worker, index in
            #expect(worker >= 0 && worker < count)
            calls.withLock { $0.append(index) }
            return "\(index)"
        }
        #expect(results == (5..<205).map(String.init))
        #expect(calls.withLock { $0.sorted() } == Array(5..<205))
        #expect(try Workers(count: count).map(3..<3) { $1 }.isEmpty)
    }

    @Test("throw the error of the lowest worker or index that failed", arguments: [1, 3])
    func errors(count: Int) {
        #expect(throws: Failure(index: 0)) {
            try Workers(count: count).run { worker -> Int in throw Failure(index: worker) }
        }
        #expect(throws: Failure(index: 4)) {
            try Workers(count: count).map(4..<50) { _, index -> Int in throw Failure(index: index) }
        }
    }

    @Test("run to their end when one of them fails")
    func othersFinish() {
        let finished = Mutex(0)
        #expect(throws: Failure(index: 1)) {
            try Workers(count: 4).run { worker in
                if worker == 1 { throw Failure(index: 1) }
                finished.withLock { $0 += 1 }
            }
        }
        #expect(finished.withLock { $0 } == 3)
    }

    @Test("begin no further index after a failure")
    func skipped() {
        let begun = Mutex<[Int]>([])
        #expect(throws: Failure(index: 2)) {
            try Workers(count: 1).map(0..<10) { _, index in
                begun.withLock { $0.append(index) }
                if index == 2 { throw Failure(index: index) }
            }
        }
        #expect(begun.withLock { $0 } == [0, 1, 2])
    }

    @Test("keep a slot's state from task to task")
    func slots() throws {
        let slots = (0..<4).map { _ in WorkerSlot([Int]()) }
        _ = try Workers(count: 4).map(0..<100) { worker, index in slots[worker].withState { $0.append(index) } }
        #expect(slots.flatMap { $0.withState { $0 } }.sorted() == Array(0..<100))
        let counts = slots.map { $0.withState { $0.count } }
        #expect(throws: Failure(index: 1)) {
            try slots[0].withState { state in
                state.append(100)
                throw Failure(index: 1)
            }
        }
        #expect(slots.map { $0.withState { $0.count } } == [counts[0] + 1] + counts.dropFirst())
    }

    @Test("borrow spare states, as many as are in use at a time, even within each other")
    func spares() throws {
        let made = Mutex(0)
        let pool = SparePool {
            made.withLock { $0 += 1 }
            return [Int]()
        }
        _ = try Workers(count: 4).map(0..<100) { _, index in pool.withState { $0.append(index) } }
        #expect((1...4).contains(made.withLock { $0 }))
        let found = pool.withState { first in pool.withState { second in first.count + second.count } }
        #expect((0...100).contains(found))
        #expect(throws: Failure(index: 1)) { try pool.withState { _ in throw Failure(index: 1) } }
    }
}
