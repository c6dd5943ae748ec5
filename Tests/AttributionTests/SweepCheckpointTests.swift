import Curvature
import Dispatch
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

    private var file: URL { URL(fileURLWithPath: tiny.folder.path("batch.scores")) }

    private func checkpoint(_ report: @escaping @Sendable (CheckpointFile.Event) -> Void = { _ in }) -> CheckpointFile {
        CheckpointFile(url: file, interval: .zero, report: report)
    }

    private func sequences(_ answers: [Result<InfluenceResult, QueryError>]) throws -> [[InfluentialSequence]] {
        try answers.map { try $0.get().sequences }
    }

    /// Answers until a stage has done some micro-batches, as if the process died then.
    private func interrupt(after limit: Int, in stage: InfluenceProgress.Stage, with checkpoint: CheckpointFile) {
        let steps = StepCounter()
        var control = WorkControl<InfluenceProgress>()
        control.progress = { steps.note($0) }
        control.isCancelled = { _ in steps[stage] > limit }
        _ = tiny.engine.answer(queries, checkpoint: checkpoint, control: control)
    }

    /// Answers with a checkpoint, and returns how many sequences were scored.
    private func resume(_ checkpoint: CheckpointFile) throws -> (sequences: [[InfluentialSequence]], scored: Int) {
        let answers = tiny.engine.answer(queries, checkpoint: checkpoint)
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
        // Complete scores are not computed again.
        #expect(try resume(checkpoint()).scored == 0)
    }

    @Test("is of use where a query has been cancelled or the corpus has grown in the meantime")
    func changedBatch() throws {
        interrupt(after: 30, in: .sweep, with: checkpoint())
        let found = checkpoint().foundCount
        // All returned sequences are among those that are scored again.
        var query = queries[1]
        query.topK = query.rescore
        let single = tiny.engine.answer([query])
        let resumed = checkpoint()
        let answers = tiny.engine.answer([query], checkpoint: resumed)
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
        let answers = tiny.engine.answer([query], checkpoint: other)
        #expect(try sequences(answers) == sequences(tiny.engine.answer([query])))
        #expect(events.withLock { $0 } == [.foreign(sequences: found)])
    }

    @Test("that a crash has cut short or damaged is used up to there", arguments: [0, 1, 7, 12, 25])
    func damage(lost: Int) throws {
        interrupt(after: 30, in: .sweep, with: checkpoint())
        let undisturbed = try sequences(tiny.engine.answer(queries))
        let found = checkpoint().foundCount
        var data = try Data(contentsOf: file)
        if lost == 0 { data[data.count - 3] ^= 0xFF } else { data.removeLast(lost) }
        try data.write(to: file)
        let damaged = checkpoint()
        #expect(damaged.foundCount == found - 1)
        #expect(try resume(damaged).sequences == undisturbed)
        // Blocks after the repaired end can be read again.
        #expect(try resume(checkpoint()).scored == 0)
    }

    @Test("scores what a query wants now and did not want in the batch that was interrupted")
    func otherCandidates() throws {
        var some = queries[0]
        some.candidates = CandidateSelection(ids: (0..<30).map { "text-\($0)" })
        var others = queries[1]
        others.candidates = CandidateSelection(ids: (20..<60).map { "text-\($0)" })
        _ = tiny.engine.answer([some, others], checkpoint: checkpoint())
        // Now each query wants the other's candidates.
        (some.candidates, others.candidates) = (others.candidates, some.candidates)
        let undisturbed = try sequences(tiny.engine.answer([some, others]))
        let resumed = tiny.engine.answer([some, others], checkpoint: checkpoint())
        #expect(try sequences(resumed) == undisturbed)
    }

    @Test("that is none at all is written again", arguments: ["", "TRIB", "something else altogether"])
    func foreignFile(text: String) throws {
        try Data(text.utf8).write(to: file)
        #expect(try resume(checkpoint()).scored > 60)
        #expect(try resume(checkpoint()).scored == 0)
    }

    @Test("that cannot be written is told of once, and the sweep goes on")
    func unwritable() throws {
        let events = Mutex<[CheckpointFile.Event]>([])
        let missing = URL(fileURLWithPath: tiny.folder.path("missing/batch.scores"))
        let checkpoint = CheckpointFile(url: missing, interval: .zero) { event in events.withLock { $0.append(event) } }
        #expect(try sequences(tiny.engine.answer(queries, checkpoint: checkpoint)).count == 3)
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

    private func key(_ number: Int32) -> ContentKey { ContentKey(sequence: [number]) }

    @Test("tells scores that are not finite from pairs that were not scored, to the last bit")
    func marks() throws {
        let scores = [
            .unscored, SequenceScore(total: .nan, tokenConcentration: nil, layers: nil, tokens: nil),
            SequenceScore(total: -.infinity, tokenConcentration: .nan, layers: [.nan, 1], tokens: []),
            SequenceScore(total: 0, tokenConcentration: 0, layers: [], tokens: [2, .infinity]),
            SequenceScore(total: 3, tokenConcentration: 0.5, layers: nil, tokens: [3]),
        ]
        let queries = scores.indices.map { key(Int32($0)) }
        let written = checkpoint()
        written.keep([ScoredSequence(sequence: key(100), scores: scores)], for: queries)
        written.flush()
        let found = try #require(checkpoint().scores(of: key(100), for: queries))
        func bits(_ score: SequenceScore) -> [[UInt64]?] {
            [
                score.isScored ? [score.total.bitPattern] : nil, score.tokenConcentration.map { [$0.bitPattern] },
                score.layers?.map(\.bitPattern), score.tokens?.map(\.bitPattern),
            ]
        }
        #expect(found.map(bits) == scores.map(bits))
        #expect(found.map(\.isScored) == [false, true, true, true, true])
        #expect(found.map(\.isFinite) == [true, false, false, true, true])
    }

    @Test("of the format that had no such marks is not used")
    func earlierVersion() throws {
        interrupt(after: 30, in: .sweep, with: checkpoint())
        var data = try Data(contentsOf: file)
        #expect(data[7] == 2)
        data[7] = 1
        try data.write(to: file)
        #expect(checkpoint().foundCount == 0)
    }

    @Test("takes further scores while it waits for the disk, and writes them in their turn")
    func slowDisk() throws {
        let disk = SlowDisk()
        let checkpoint = CheckpointFile(url: file, interval: .zero, sync: disk.sync)
        let queries = [key(0)]
        @Sendable func row(_ number: Int32) -> ScoredSequence {
            ScoredSequence(
                sequence: ContentKey(sequence: [number]),
                scores: [SequenceScore(tokens: [Double(number)], keepingTokens: true, layers: nil)])
        }
        let first = WatchedWork { checkpoint.keep([row(1)], for: queries) }
        try #require(disk.isReached())
        let others = WatchedWork { for number in Int32(2)...20 { checkpoint.keep([row(number)], for: queries) } }
        let haveGoneOn = others.wait() != nil
        disk.release()
        #expect(haveGoneOn, "a worker waits for another's write")
        try #require(first.wait())
        checkpoint.flush()
        let reopened = self.checkpoint()
        #expect(reopened.foundCount == 20 && checkpoint.writtenCount == 20)
        for number in Int32(1)...20 {
            #expect(reopened.scores(of: key(number), for: queries)?.first?.total == Double(number))
        }
        checkpoint.remove()
        checkpoint.keep([row(21)], for: queries)
        checkpoint.flush()
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }

    @Test("is removed after the write that is under way")
    func removalDuringWrite() throws {
        let disk = SlowDisk()
        let checkpoint = CheckpointFile(url: file, interval: .zero, sync: disk.sync)
        let row = ScoredSequence(
            sequence: key(1), scores: [SequenceScore(tokens: [1], keepingTokens: true, layers: nil)])
        let queries = [key(0)]
        let keeping = WatchedWork { checkpoint.keep([row], for: queries) }
        try #require(disk.isReached())
        let removing = WatchedWork { checkpoint.remove() }
        disk.release()
        try #require(removing.wait())
        try #require(keeping.wait())
        #expect(!FileManager.default.fileExists(atPath: file.path))
    }
}

/// A disk whose first sync blocks until it is released.
private final class SlowDisk: Sendable {
    private let reached = DispatchSemaphore(value: 0)
    private let released = DispatchSemaphore(value: 0)

    func sync(_ handle: FileHandle) throws {
        reached.signal()
        released.wait()
        released.signal()
        try handle.synchronize()
    }

    /// Waits for a limited time until the first sync has begun.
    func isReached() -> Bool { reached.wait(timeout: .now() + 120) == .success }

    func release() { released.signal() }
}
