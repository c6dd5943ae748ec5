import Attribution
import HTTP
import HTTPTypes
import Synchronization

extension API {
    var modelOperations: [Operation] {
        [
            Operation(
                method: .post, pattern: "/v1/completions", id: "complete", tag: .model, scope: .query,
                summary: "Let the model continue a prompt",
                details: """
                    A completion that takes too long ends early, with the finish_reason time_limit; one whose client has \
                    disconnected ends at once. A few run at a time, and others wait for their turn, but not for long: see the \
                    completions section of the configuration.
                    """,
                body: .json("The prompt.", .completionRequest),
                answers: [.json("The continuation.", .completion)],
                problems: ProblemKind.ofJSONBodies + ProblemKind.ofEngineCalls + [.completionsBusy],
                handler: postCompletion),
            Operation(
                method: .get, pattern: "/v1/model", id: "getModel", tag: .model, scope: .read,
                summary: "Get the model, its factors and its corpus",
                answers: [.json("The model, its factors and its corpus.", .model)],
                problems: ProblemKind.ofEngineCalls, handler: getModel),
        ]
    }

    @Sendable private func postCompletion(_ request: Request) async throws -> Response {
        let asked = try request.json().decoded(as: CompletionRequest.self)
        let engine = try readiness.engine()
        log(prompt: asked.prompt)
        return try .json(encoding: try await completions.run { try engine.complete(asked, until: $0, isCancelled: $1) })
    }

    @Sendable private func getModel(_ request: Request) async throws -> Response {
        let engine = try readiness.engine()
        return try .json(encoding: try await lookups.run { try engine.describe() })
    }
}

/// Runs completions: a few at a time, each for a limited time, and none for a client that has disconnected.
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

    /// - Throws: ``Problem`` if no turn comes in time, and the errors of the completion: ``QueryError/cancelled`` once the calling
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

/// Raised once by one thread, and read by others.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isRaised: Bool { value.load(ordering: .relaxed) }
    func raise() { value.store(true, ordering: .relaxed) }
}
