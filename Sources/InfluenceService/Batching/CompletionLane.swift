import Attribution
import HTTP
import Synchronization

/// Runs completions: a few at a time, each for a limited time, and none for a client that has gone.
struct CompletionLane: Sendable {
    private let settings: Configuration.Completions
    private let turns: Turns
    private let threads: BlockingLane

    init(_ settings: Configuration.Completions) {
        self.settings = settings
        turns = Turns(count: settings.concurrent)
        threads = BlockingLane(
            "tributary.completions", width: settings.concurrent, qualityOfService: .userInitiated)
    }

    /// Runs a completion when its turn has come, and suspends until it has ended.
    ///
    /// - Throws: ``Problem`` where no turn comes in time, and what the completion throws: ``QueryError/cancelled`` once the calling
    ///   task is cancelled.
    func run(
        _ complete: @escaping @Sendable (ContinuousClock.Instant, @Sendable () -> Bool) throws -> CompletionResult
    ) async throws -> CompletionResult {
        guard await turns.take(within: .seconds(settings.maximumWaitSeconds)) else {
            if Task.isCancelled { throw QueryError.cancelled }
            throw Problem.completionsBusy(running: settings.concurrent)
        }
        let outcome: Result<CompletionResult, any Error>
        do {
            outcome = .success(try await runNow(complete))
        } catch {
            outcome = .failure(error)
        }
        await turns.give()
        return try outcome.get()
    }

    private func runNow(
        _ complete: @escaping @Sendable (ContinuousClock.Instant, @Sendable () -> Bool) throws -> CompletionResult
    ) async throws -> CompletionResult {
        let hasGone = Flag()
        let deadline = ContinuousClock.now + .seconds(settings.maximumSeconds)
        return try await withTaskCancellationHandler {
            try await threads.run {
                try complete(deadline) { hasGone.isRaised }
            }
        } onCancel: {
            hasGone.raise()
        }
    }
}

/// Raised once, by one thread, and seen by others.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isRaised: Bool { value.load(ordering: .relaxed) }
    func raise() { value.store(true, ordering: .relaxed) }
}
