import Curvature
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Attribution

@Suite("Cancelling")
struct CancellationTests {
    private let tiny: TinyEngine

    init() throws { tiny = try TinyEngine(batchTokens: 1) }

    /// Answers queries, and cancels some of them once a stage has done this many micro-batches.
    private func run(
        _ queries: [InfluenceQuery], cancelling: Set<Int>, after limit: Int, in stage: InfluenceProgress.Stage
    ) -> (answers: [Result<InfluenceResult, QueryError>], steps: StepCounter) {
        let steps = StepCounter()
        var control = WorkControl<InfluenceProgress>()
        control.progress = { steps.note($0) }
        control.isCancelled = { cancelling.contains($0) && steps[stage] >= limit }
        return (tiny.engine.answer(queries, control: control), steps)
    }

    @Test(
        "all queries ends the work within one micro-batch of each worker",
        arguments: [(InfluenceProgress.Stage.sweep, 15), (.rescore, 4)])
    func all(stage: InfluenceProgress.Stage, limit: Int) {
        let (answers, steps) = run(
            [TinyEngine.query(), TinyEngine.query(" light.")], cancelling: [0, 1], after: limit, in: stage)
        #expect(answers == [.failure(.cancelled), .failure(.cancelled)])
        // Each of the two workers can have a micro-batch under way, and notices the cancellation before its next one.
        #expect(steps[stage] >= limit && steps[stage] <= limit + 2)
    }

    @Test("queries before the sweep ends the work at the next gradient")
    func gradients() {
        let steps = StepCounter()
        var control = WorkControl<InfluenceProgress>()
        control.step = { steps.step() }
        control.isCancelled = { _ in steps.stepCount >= 3 }
        let queries = [InfluenceQuery](repeating: TinyEngine.query(), count: 12)
        #expect(tiny.engine.answer(queries, control: control).allSatisfy { $0 == .failure(.cancelled) })
        #expect(steps.stepCount <= 5)
    }

    @Test("one query leaves the others as they are, and spares what only it wanted")
    func one() throws {
        var small = TinyEngine.query(" light.", rescore: 0)
        small.candidates = CandidateSelection(ids: ["text-1", "text-30", "text-59"])
        let (answers, steps) = run([TinyEngine.query(), small], cancelling: [0], after: 15, in: .sweep)
        #expect(answers[0] == .failure(.cancelled))
        let alone = try tiny.engine.answer([small])[0].get()
        let found = try answers[1].get()
        #expect(found.sequences.map(\.id) == alone.sequences.map(\.id) && found.sequences.count == 3)
        for (a, b) in zip(found.sequences, alone.sequences) { #expect(abs(a.score - b.score) < 1e-4 * abs(b.score)) }
        // Of the 45 remaining sequences, the ends of their chunks and the named ones have a step.
        let chunks = CandidateSweep.chunks(of: 60).filter { $0.upperBound > 15 }
        #expect(steps[.sweep] <= 15 + chunks.count + 3 + 2)
        // The returned sequences are scored token by token; none of the cancelled query's are.
        #expect(steps[.rescore] <= 3)
    }

    @Test(
        "the only query that needs a stage leaves the others their answers",
        arguments: [(InfluenceProgress.Stage.candidates, 3), (.rescore, 2)])
    func onlyOne(stage: InfluenceProgress.Stage, limit: Int) throws {
        let indexed = try TinyEngine(index: SketchLayout(leading: 24, signs: 512), batchTokens: 1)
        var needing = TinyEngine.query(rescore: stage == .rescore ? 10 : 0)
        needing.candidates = CandidateSelection(prefilter: stage == .candidates ? .index : .all)
        var other = TinyEngine.query(" light.", rescore: 0)
        other.candidates = CandidateSelection(prefilter: .tfidf)
        let steps = StepCounter()
        var control = WorkControl<InfluenceProgress>()
        control.progress = { steps.note($0) }
        control.step = { if steps.latest?.stage == stage { steps.step() } }
        control.isCancelled = { $0 == 0 && steps.stepCount >= limit }
        let answers = indexed.engine.answer([needing, other], control: control)
        #expect(answers[0] == .failure(.cancelled))
        #expect(throws: Never.self) { try answers[1].get() }
        #expect(steps.stepCount >= limit)
    }

    @Test("an index that cannot be extended fails only the queries that need it")
    func unwritableIndex() throws {
        let indexed = try TinyEngine(index: SketchLayout(leading: 24, signs: 512), batchTokens: 1)
        try FileManager.default.removeItem(atPath: indexed.indexFile)
        // A folder at the index's path keeps it from being written.
        try FileManager.default.createDirectory(atPath: indexed.indexFile, withIntermediateDirectories: false)
        var needing = TinyEngine.query(rescore: 0)
        needing.candidates = CandidateSelection(prefilter: .index)
        let answers = indexed.engine.answer([needing, TinyEngine.query(rescore: 0)])
        #expect(throws: QueryError.self) { try answers[0].get() }
        #expect(throws: Never.self) { try answers[1].get() }
    }
}
