import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Attribution

@Suite("A sweep's checkpoint")
struct SweepCheckpointTests {
    private let tiny: TinyEngine
    private let queries = [TinyEngine.query(), TinyEngine.query(" light."), TinyEngine.query()]

    init() throws { tiny = try TinyEngine(batchTokens: 1) }

    private var file: URL { URL(fileURLWithPath: tiny.folder.file("batch.scores")) }

    private func checkpoint(_ report: @escaping @Sendable (CheckpointFile.Event) -> Void = { _ in }) -> CheckpointFile {
        CheckpointFile(url: file, interval: .zero, report: report)
    }

    private func sequences(_ answers: [Result<InfluenceResult, QueryError>]) throws -> [[InfluentialSequence]] {
        try answers.map { try $0.get().sequences }
    }

    /// Answers until a stage has had some micro-batches, as if the process died then.
    private func interrupt(after limit: Int, in stage: InfluenceProgress.Stage, with checkpoint: CheckpointFile) {
        let steps = StepCounter()
        var control = BatchControl(checkpoint: checkpoint)
        control.progress = { steps.note($0) }
        control.isCancelled = { _ in steps[stage] > limit }
        _ = tiny.engine.answer(queries, control: control)
    }

    /// Answers with a checkpoint, and tells how many sequences were scored.
    private func resume(_ checkpoint: CheckpointFile) throws -> (sequences: [[InfluentialSequence]], scored: Int) {
        let answers = tiny.engine.answer(queries, control: BatchControl(checkpoint: checkpoint))
        return (try sequences(answers), checkpoint.writtenCount)
    }

    @Test(
        "is taken up where it was left, with the very scores of an undisturbed sweep",
        arguments: [(InfluenceProgress.Stage.sweep, 20), (.rescore, 5)])
    func resumption(stage: InfluenceProgress.Stage, limit: Int) throws {
        let undisturbed = try resume(CheckpointFile(url: file, interval: .seconds(3_600)))
        #expect(!FileManager.default.fileExists(atPath: file.path), "a batch shorter than the interval makes no file")

        interrupt(after: limit, in: stage, with: checkpoint())
        let found = checkpoint().foundCount
        #expect(found >= (stage == .sweep ? limit - 2 : 60 + limit - 2))
        let resumed = try resume(checkpoint())
        #expect(resumed.sequences == undisturbed.sequences)
        #expect(resumed.scored == undisturbed.scored - found)
        // What is complete costs nothing any more.
        #expect(try resume(checkpoint()).scored == 0)
    }

    @Test("is of use where a query has been cancelled or the corpus has grown in the meantime")
    func changedBatch() throws {
        interrupt(after: 30, in: .sweep, with: checkpoint())
        let found = checkpoint().foundCount
        // All that is returned is among what is scored again.
        var query = queries[1]
        query.topK = query.rescore
        let single = tiny.engine.answer([query], control: BatchControl())
        let resumed = checkpoint()
        let answers = tiny.engine.answer([query], control: BatchControl(checkpoint: resumed))
        for (a, b) in zip(try sequences(answers)[0], try sequences(single)[0]) {
            #expect(a.id == b.id && abs(a.score - b.score) < 1e-4 * abs(b.score))
        }
        #expect(resumed.writtenCount <= 60 - found + 20)
    }

    @Test("of other queries is told of, and not used")
    func foreign() throws {
        interrupt(after: 30, in: .sweep, with: checkpoint())
        let events = Mutex<[CheckpointFile.Event]>([])
        let other = checkpoint { event in events.withLock { $0.append(event) } }
        let found = other.foundCount
        var query = queries[0]
        query.damping = 0.5
        let answers = tiny.engine.answer([query], control: BatchControl(checkpoint: other))
        #expect(try sequences(answers) == sequences(tiny.engine.answer([query], control: BatchControl())))
        #expect(events.withLock { $0 } == [.foreign(sequences: found)])
    }

    @Test("that a crash has cut short or damaged is used up to there", arguments: [0, 1, 7, 12, 25])
    func damage(lost: Int) throws {
        interrupt(after: 30, in: .sweep, with: checkpoint())
        let undisturbed = try sequences(tiny.engine.answer(queries, control: BatchControl()))
        let found = checkpoint().foundCount
        var data = try Data(contentsOf: file)
        if lost == 0 { data[data.count - 3] ^= 0xFF } else { data.removeLast(lost) }
        try data.write(to: file)
        let damaged = checkpoint()
        #expect(damaged.foundCount == found - 1)
        #expect(try resume(damaged).sequences == undisturbed)
        // What follows the repaired end can be read again.
        #expect(try resume(checkpoint()).scored == 0)
    }

    @Test("scores what a query wants now and did not want in the batch that was interrupted")
    func otherCandidates() throws {
        var some = queries[0]
        some.candidates = CandidateSelection(ids: (0..<30).map { "text-\($0)" })
        var others = queries[1]
        others.candidates = CandidateSelection(ids: (20..<60).map { "text-\($0)" })
        _ = tiny.engine.answer([some, others], control: BatchControl(checkpoint: checkpoint()))
        // Now each wants what the other had.
        (some.candidates, others.candidates) = (others.candidates, some.candidates)
        let undisturbed = try sequences(tiny.engine.answer([some, others], control: BatchControl()))
        let resumed = tiny.engine.answer([some, others], control: BatchControl(checkpoint: checkpoint()))
        #expect(try sequences(resumed) == undisturbed)
    }

    @Test("that is none at all is written anew", arguments: ["", "TRIB", "something else altogether"])
    func foreignFile(text: String) throws {
        try Data(text.utf8).write(to: file)
        #expect(try resume(checkpoint()).scored > 60)
        #expect(try resume(checkpoint()).scored == 0)
    }

    @Test("that cannot be written is told of once, and the sweep goes on")
    func unwritable() throws {
        let events = Mutex<[CheckpointFile.Event]>([])
        let missing = URL(fileURLWithPath: tiny.folder.file("missing/batch.scores"))
        let checkpoint = CheckpointFile(url: missing, interval: .zero) { event in events.withLock { $0.append(event) } }
        #expect(try sequences(tiny.engine.answer(queries, control: BatchControl(checkpoint: checkpoint))).count == 3)
        let told = events.withLock { $0 }
        #expect(told.count == 1)
        guard case .cannotWrite = told.first else {
            Issue.record("\(told)")
            return
        }
    }

    @Test("goes when the batch has ended")
    func removal() throws {
        let checkpoint = checkpoint()
        _ = try resume(checkpoint)
        #expect(FileManager.default.fileExists(atPath: file.path))
        checkpoint.remove()
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }
}
