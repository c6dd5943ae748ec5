import Attribution
import Curvature
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import InfluenceService

@Suite("A small job and a large one that extends the gradient index", .timeLimit(.minutes(30)))
struct IndexOvertakingTests {
    @Test("both end where the small one overtakes, with a real engine", arguments: ["index", "both"])
    func overtaking(prefilter: String) async throws {
        let folder = try TemporaryFolder()
        let tiny = try TinyEngine(index: SketchLayout(leading: 24, signs: 512), batchTokens: 1)
        let engine = HeldInExtension(tiny.engine, corpusSequences: tiny.texts.count)
        let process = try RunnerFixture(in: folder)
        try await process.runner.start(engine)
        func query(_ completion: String, limit: Int) throws -> InfluenceQuery {
            var query = TinyEngine.query(completion, rescore: 0)
            query.candidates = CandidateSelection(
                prefilter: try #require(CandidateSelection.Prefilter(rawValue: prefilter)), limit: limit)
            return query
        }
        let large = try await process.submit(query(" light.", limit: 60), query(" the heaven", limit: 60))
        try #require(await Self.isTrue { engine.isExtending }, "the large job does not extend the index")
        let small = try await process.submit(query(" the earth.", limit: 2))
        let haveEnded = try await Self.isTrue {
            for id in [small, large] where try await process.store.job(id)?.status.isFinal != true { return false }
            return true
        }
        #expect(haveEnded, "both stand still")
        // What stands still would do so for ever.
        for id in [large, small] { _ = try await process.runner.cancel(id) }
        engine.release()
        for id in [small, large] { #expect(try await process.store.job(id)?.status == .succeeded) }
        #expect(engine.wasOvertaken && tiny.engine.index.index?.sequences == tiny.texts.count)
        await process.runner.stop(grace: 10)
    }

    /// Whether something becomes true within two minutes.
    private static func isTrue(_ condition: () async throws -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(120)
        while try await !condition() {
            guard ContinuousClock.now < end else { return false }
            try await Task.sleep(for: .milliseconds(2))
        }
        return true
    }
}

/// An engine that waits in the middle of extending its index for one query until another query overtakes.
private final class HeldInExtension: ServiceEngine {
    private enum Turn { case before, extending, overtaken }

    private let engine: InfluenceEngine
    private let corpusSequences: Int
    private let turn = Mutex(Turn.before)
    private let isInExtension = Atomic<Bool>(false)
    private let isReleased = Atomic<Bool>(false)

    init(_ engine: InfluenceEngine, corpusSequences: Int) {
        self.engine = engine
        self.corpusSequences = corpusSequences
    }

    var isExtending: Bool { turn.withLock { $0 == .extending } }
    var wasOvertaken: Bool { turn.withLock { $0 == .overtaken } }

    func release() { isReleased.store(true, ordering: .relaxed) }

    func answer(
        _ queries: [InfluenceQuery], checkpoint: (any SweepCheckpoint)?, control: WorkControl<InfluenceProgress>
    ) -> [Result<InfluenceResult, QueryError>] {
        guard queries.count > 1 else {
            // The gate of what is overtaken is closed by now.
            turn.withLock { $0 = .overtaken }
            return engine.answer(queries, checkpoint: checkpoint, control: control)
        }
        var held = control
        held.progress = { [self] progress in
            control.progress(progress)
            let isExtending = progress.stage == .candidates && progress.total == corpusSequences
            isInExtension.store(isExtending, ordering: .relaxed)
        }
        held.step = { [self] in
            if isInExtension.load(ordering: .relaxed) {
                turn.withLock { if $0 == .before { $0 = .extending } }
                while !wasOvertaken, !isReleased.load(ordering: .relaxed) { Thread.sleep(forTimeInterval: 0.001) }
            }
            try control.step()
        }
        return engine.answer(queries, checkpoint: checkpoint, control: held)
    }

    func validate(_ query: InfluenceQuery) throws { try engine.validate(query) }
    func complete(
        _ request: CompletionRequest, until deadline: ContinuousClock.Instant?, isCancelled: @Sendable () -> Bool
    ) throws -> CompletionResult {
        try engine.complete(request, until: deadline, isCancelled: isCancelled)
    }
    func search(_ text: String, limit: Int) throws -> [SearchHit] { try engine.search(text, limit: limit) }
    func sequence(_ id: String) throws -> SequenceDescription? { try engine.sequence(id) }
    func sequences(after rowid: Int64, source: String?, limit: Int) throws -> SequencePage {
        try engine.sequences(after: rowid, source: source, limit: limit)
    }
    func identifiers(rowids: [Int64]) throws -> [String] { try engine.identifiers(rowids: rowids) }
    func ingest(_ upload: SequenceUpload) throws -> IngestionSummary { try engine.ingest(upload) }
    func measurements() throws -> EngineMeasurements { try engine.measurements() }
    func describe() throws -> ModelSummary { try engine.describe() }
}
