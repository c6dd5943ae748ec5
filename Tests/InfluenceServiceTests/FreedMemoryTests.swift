import Testing

@testable import InfluenceService

@Suite("Freed memory", .timeLimit(.minutes(10)))
struct FreedMemoryTests {
    @Test("is given back after something was done and once more, and not again until something more is")
    func activity() async throws {
        let returns = CallCounter()
        let memory = FreedMemory { returns.increment() }
        let watch = Task { await memory.watch(every: .milliseconds(2)) }
        for expected in 1...3 {
            memory.note()
            memory.note()
            // What was done may have said so before all that it held was freed.
            while returns.value < 2 * expected { try await Task.sleep(for: .milliseconds(1)) }
            for _ in 0..<50 { try await Task.sleep(for: .milliseconds(1)) }
            // Both notes at once, or the second after the first had been seen.
            #expect(returns.value <= 3 * expected)
        }
        let before = returns.value
        for _ in 0..<50 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(returns.value == before)
        watch.cancel()
        await watch.value
        memory.note()
        for _ in 0..<20 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(returns.value == before)
    }

    @Test("is looked after when a sweep has ended")
    func sweeps() async throws {
        let returns = CallCounter()
        let memory = FreedMemory { returns.increment() }
        let watch = Task { await memory.watch(every: .milliseconds(2)) }
        let folder = try TemporaryFolder()
        let process = try RunnerFixture(in: folder, freedMemory: memory)
        try await process.runner.start(SteppingEngine())
        for _ in 0..<20 { try await Task.sleep(for: .milliseconds(1)) }
        #expect(returns.value == 0)
        let id = try await process.small("a")
        try await process.wait(for: .succeeded, of: id)
        while returns.value == 0 { try await Task.sleep(for: .milliseconds(1)) }
        await process.runner.stop(grace: 10)
        watch.cancel()
    }
}
