import Attribution
import Foundation
import Testing

@testable import InfluenceService

@Suite("A small job", .timeLimit(.minutes(30)))
struct FairnessTests {
    private let folder: TemporaryFolder
    private let process: RunnerFixture
    private let engine = SteppingEngine()

    init() throws {
        folder = try TemporaryFolder()
        process = try RunnerFixture(in: folder)
    }

    /// Has a large sweep run five steps, and a small one that has overtaken it ten; the small one then waits.
    private func holdBoth() async throws -> (large: JobIdentifier, small: JobIdentifier) {
        engine.stop("large", before: 5)
        engine.stop("small", before: 10)
        try await process.runner.start(engine)
        let large = try await process.large("large")
        try await engine.waitUntil("large", hasRun: 5)
        let small = try await process.small("small")
        try await engine.waitUntil("small", hasRun: 10)
        return (large, small)
    }

    @Test("overtakes a large sweep, which makes no step meanwhile and then goes on")
    func overtaking() async throws {
        let (large, small) = try await holdBoth()
        // The large one is free to go on, and does not.
        engine.stop("large", before: nil)
        for _ in 0..<50 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(engine.ran("large") == 5)
        engine.stop("small", before: nil)
        for id in [small, large] { try await process.wait(for: .succeeded, of: id) }
        #expect(engine.log == ["large begins", "small begins", "small ends", "large ends"])
        #expect(engine.ran("large") == engine.steps)
        await process.runner.stop(grace: 10)
    }

    @Test("does not overtake what is nearly done, and large jobs overtake nothing")
    func noOvertaking() async throws {
        engine.stop("first", before: 39)
        try await process.runner.start(engine)
        let first = try await process.large("first")
        try await engine.waitUntil("first", hasRun: 39)
        let second = try await process.large("second")
        let third = try await process.submit(
            InfluenceQuery(prompt: "third", completion: "x", candidates: CandidateSelection(limit: 500)))
        engine.stop("first", before: nil)
        for id in [first, second, third] { try await process.wait(for: .succeeded, of: id) }
        #expect(engine.log.filter { $0.hasSuffix("begins") }.first == "first begins")
        #expect(engine.log[1] == "first ends")
        await process.runner.stop(grace: 10)
    }

    @Test("that overtakes again and again leaves the large one its share")
    func noStarvation() async throws {
        engine.stop("large", before: 5)
        try await process.runner.start(engine)
        let large = try await process.large("large")
        try await engine.waitUntil("large", hasRun: 5)
        engine.stop("large", before: nil)
        // There are always small jobs waiting, until the large one has ended.
        var count = 0
        while try await process.store.job(large)?.status != .succeeded {
            let id = try await process.small("small \(count)")
            count += 1
            if count % 8 == 0 { try await process.wait(for: .succeeded, of: id) }
        }
        #expect(engine.ran("large") == engine.steps)
        await process.runner.stop(grace: 10)
    }

    @Test("leaves a large sweep that is held open to cancellation")
    func cancelHeld() async throws {
        let (large, small) = try await holdBoth()
        _ = try await process.runner.cancel(large)
        while !engine.log.contains("large ends") { try await Task.sleep(for: .milliseconds(1)) }
        #expect(!engine.log.contains("small ends"))
        engine.stop("small", before: nil)
        try await process.wait(for: .succeeded, of: small)
        await process.runner.stop(grace: 10)
    }

    @Test("and the large one that it holds both end at a stop, and are taken up at the next start")
    func stopHeld() async throws {
        let (large, small) = try await holdBoth()
        await process.runner.stop(grace: 0)
        #expect(Set(engine.log) == ["large begins", "small begins", "large ends", "small ends"])

        let later = try RunnerFixture(in: folder)
        let engine = SteppingEngine()
        try await later.runner.start(engine)
        for id in [small, large] { try await later.wait(for: .succeeded, of: id) }
        #expect(engine.ran("large") == 35 && engine.ran("small") == 30)
        #expect(try await later.store.job(large)?.attempts == 1)
        await later.runner.stop(grace: 10)
    }

    @Test("counts towards the limit of who asked for it until it has ended")
    func askers() async throws {
        engine.stop("a", before: 1)
        try await process.runner.start(engine)
        let query = InfluenceQuery(prompt: "a", completion: "x")
        let asker = Asker(id: "t", queryLimit: 2)
        func submit(_ count: Int, _ asker: Asker?) async throws -> JobIdentifier {
            try await process.runner.submit(
                [query] + Array(repeating: query, count: count - 1), isList: true, asker: asker
            )
            .job.id
        }
        let first = try await submit(2, asker)
        await #expect(throws: SubmissionError.tooManyQueries(waiting: 2, limit: 2)) { try await submit(1, asker) }
        let others = [try await submit(1, Asker(id: "u", queryLimit: 2)), try await submit(3, nil)]
        engine.stop("a", before: nil)
        for id in [first] + others { try await process.wait(for: .succeeded, of: id) }
        await process.runner.waitForEnd(of: first, seconds: 3_600)
        _ = try await submit(2, asker)
        await process.runner.stop(grace: 600)
    }

    @Test("counts towards that limit also after the server has been started again")
    func recoveredAskers() async throws {
        let query = InfluenceQuery(prompt: "a", completion: "x")
        let asker = Asker(id: "t", queryLimit: 2)
        _ = try await process.runner.submit([query, query], isList: true, asker: asker)
        await process.runner.stop(grace: 0)

        let later = try RunnerFixture(in: folder)
        let engine = SteppingEngine()
        engine.stop("a", before: 0)
        try await later.runner.start(engine)
        await #expect(throws: SubmissionError.tooManyQueries(waiting: 2, limit: 2)) {
            try await later.runner.submit([query], isList: false, asker: asker)
        }
        _ = try await later.runner.submit([query], isList: false, asker: Asker(id: "u", queryLimit: 2))
        engine.stop("a", before: nil)
        await later.runner.stop(grace: 600)
    }
}
