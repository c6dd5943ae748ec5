import Testing

@testable import InfluenceService

@Suite("The memory of past sweeps", .timeLimit(.minutes(30)))
struct MemoryReturnTests {
    private let folder: TemporaryFolder
    private let process: BatcherFixture
    private let engine = SteppingEngine()

    init() throws {
        folder = try TemporaryFolder()
        process = try BatcherFixture(in: folder)
    }

    @Test("is given back once when nothing is left to do, and again only after another sweep")
    func idle() async throws {
        try await process.batcher.start(engine)
        for returns in 1...2 {
            let id = try await process.small("small")
            try await process.wait(for: .succeeded, of: id)
            while process.memoryReturns.value < returns { try await Task.sleep(for: .milliseconds(1)) }
            for _ in 0..<50 { try await Task.sleep(for: .milliseconds(1)) }
            #expect(process.memoryReturns.value == returns)
        }
        await process.batcher.stop(grace: 10)
    }

    @Test("is kept while a sweep is under way")
    func busy() async throws {
        engine.stop("second", before: 5)
        try await process.batcher.start(engine)
        let ids = [try await process.small("first"), try await process.small("second")]
        try await engine.waitUntil("second", hasRun: 5)
        let returns = process.memoryReturns.value
        for _ in 0..<50 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(process.memoryReturns.value == returns)
        engine.stop("second", before: nil)
        for id in ids { try await process.wait(for: .succeeded, of: id) }
        await process.batcher.stop(grace: 10)
    }
}
