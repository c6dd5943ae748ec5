import Curvature
import Dispatch
import Foundation
import LinearAlgebra
import Synchronization
import TestSupport
import Testing

@testable import Attribution

@Suite("Extending the gradient index")
struct IndexExtensionTests {
    private let tiny: TinyEngine
    private let index: GradientIndex

    init() throws {
        tiny = try TinyEngine(index: SketchLayout(leading: 24, signs: 512), batchTokens: 1)
        index = try #require(tiny.engine.index.index)
    }

    private func query(limit: Int) -> InfluenceQuery {
        var query = TinyEngine.query(rescore: 0)
        query.candidates = CandidateSelection(prefilter: .index, limit: limit)
        return query
    }

    private func extend(step: @Sendable () throws -> Void = {}) throws {
        try index.extend(
            to: tiny.texts.count, of: tiny.engine.corpus, decoder: tiny.engine.decoder, workers: Workers(count: 2),
            batchTokens: 1, step: step)
    }

    private var bytes: Data { get throws { try Data(contentsOf: URL(fileURLWithPath: tiny.indexFile)) } }

    /// The file of an index that a single extension has made.
    private var undisturbed: Data {
        get throws {
            let other = try TinyEngine(index: index.layout, batchTokens: 1)
            _ = try other.answer(query(limit: 2))
            return try Data(contentsOf: URL(fileURLWithPath: other.indexFile))
        }
    }

    @Test("lets a query overtake one that is held in the middle of it, wherever that is", arguments: [1, 2, 40])
    func overtaking(step: Int) throws {
        let hold = HeldExtension(of: tiny.texts.count, at: step)
        defer { hold.release() }
        let (engine, large, small) = (tiny.engine, query(limit: 10), query(limit: 2))
        let held = WatchedWork { engine.answer([large, large], control: hold.control) }
        try #require(hold.isReached(), "the extension has no such step")
        let overtaking = WatchedWork { engine.answer([small]) }
        let answer = try #require(overtaking.wait(), "what overtakes waits for what is held for it")
        #expect(try answer[0].get().candidates.considered == 2)
        #expect(index.sequences == tiny.texts.count)
        hold.release()
        let answers = try #require(held.wait(), "what was held does not go on")
        for answer in answers { #expect(try answer.get().candidates.considered == 10) }
        #expect(try bytes == undisturbed)
    }

    @Test("can be done by several at a time, which leave the file that one leaves")
    func several() throws {
        let all = (0..<3).map { _ in WatchedWork { [self] in Result { try extend() } } }
        for work in all { try #require(work.wait(), "one waits for ever").get() }
        #expect(try bytes == undisturbed)
    }

    @Test("can be done from within its own steps, which are called while nothing is locked")
    func reentry() throws {
        let steps = StepCounter()
        let work = WatchedWork { [self] in
            Result {
                try extend {
                    steps.step()
                    if steps.stepCount == 1 { try extend() }
                }
            }
        }
        try #require(work.wait(), "a step waits for the extension that calls it").get()
        #expect(try bytes == undisturbed)
    }

    private struct Stop: Error {}

    @Test("that is held and then cancelled leaves what another has indexed")
    func cancellation() throws {
        #expect(throws: Stop.self) {
            try extend {
                try extend()
                throw Stop()
            }
        }
        #expect(try bytes == undisturbed)
    }
}

/// Pauses a query batch at a step of its extension of the index, as a batch that is overtaken is paused.
private final class HeldExtension: Sendable {
    private let count: Int
    private let step: Int
    private let isExtending = Atomic<Bool>(false)
    private let steps = Atomic<Int>(0)
    private let isReleased = Atomic<Bool>(false)
    private let reached = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - count: How many sequences the index lacks.
    ///   - step: The number of the step, from 1.
    init(of count: Int, at step: Int) {
        self.count = count
        self.step = step
    }

    var control: WorkControl<InfluenceProgress> {
        WorkControl(
            progress: { [self] progress in
                let isExtending = progress.stage == .candidates && progress.total == count
                self.isExtending.store(isExtending, ordering: .sequentiallyConsistent)
            },
            step: { [self] in
                guard isExtending.load(ordering: .sequentiallyConsistent) else { return }
                let now = steps.add(1, ordering: .sequentiallyConsistent).newValue
                if now == step { reached.signal() }
                while now >= step, !isReleased.load(ordering: .sequentiallyConsistent) {
                    Thread.sleep(forTimeInterval: 0.001)
                }
            })
    }

    /// Waits for a limited time until the batch is paused.
    func isReached() -> Bool { reached.wait(timeout: .now() + 120) == .success }

    func release() { isReleased.store(true, ordering: .sequentiallyConsistent) }
}
